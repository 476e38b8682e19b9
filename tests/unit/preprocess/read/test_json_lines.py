"""Rows of JSON lines: values as the same rows have them in CSV, and what is rejected."""

from pathlib import Path

import pytest

from esmm_dist.errors import InputDataError, SchemaError
from preprocess.read.json_lines import JsonList, check_json_head, json_rows
from preprocess.read.rejects import Reason

PAIRS = JsonList(separator="|", weight_separator=":")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("7", "7"),
        ("2.50", "2.50"),  # as it is written
        ('"7"', "7"),
        ("true", "true"),
        ("null", None),
        ("1e3", "1000.0"),  # an exponent is not the text of an id
        ("NaN", ""),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ],
)
def test_value_is_the_text_that_csv_would_have(value: str, text: str | None):
    table, numbers, rejects = json_rows([f'{{"a": {value}}}'.encode()], 3, ["a"], {})
    assert table.to_pydict() == {"a": [text]}
    assert numbers.tolist() == [3]
    assert rejects == []


@pytest.mark.parametrize(
    "value",
    [
        '"sport:2|film:1"',
        '["sport:2", "film:1"]',
        '[["sport", 2], ["film", 1]]',
        '[{"id": "sport", "weight": 2}, {"id": "film", "weight": 1}]',
        '[{"tag": "sport", "score": 2}, {"tag": "film", "score": 1}]',
        '{"sport": 2, "film": 1}',
        '["sport:2", null, {"id": "film", "weight": "1"}]',
    ],
)
def test_forms_of_weighted_lists_are_the_same_pairs(value: str):
    table, _, rejects = json_rows([f'{{"a": {value}}}'.encode()], 0, [], {"a": PAIRS})
    assert table.to_pydict() == {"a": [[{"id": "sport", "weight": "2"}, {"id": "film", "weight": "1"}]]}
    assert rejects == []


def test_text_beside_lists_is_cut_as_it_is_alone():
    lines = [b'{"a": "x|y"}', b'{"a": ["p|q", 7]}', b"{}"]
    table, _, _ = json_rows(lines, 0, [], {"a": JsonList(separator="|")})
    assert table.column("a").to_pylist() == [["x", "y"], ["p|q", "7"], None]
    table, _, _ = json_rows(lines, 0, [], {"a": JsonList(separator=None)})
    assert table.column("a").to_pylist() == [["x|y"], ["p|q", "7"], None]


@pytest.mark.parametrize(
    ("line", "reason", "column"),
    [
        (b"", Reason.BAD_JSON, ""),
        (b"[1]", Reason.BAD_JSON, ""),
        (b'{"a": 1', Reason.BAD_JSON, ""),
        (b'{"a": [1]}', Reason.BAD_JSON, "a"),
        (b'{"a": "\\ud800"}', Reason.BAD_JSON, ""),  # half of a pair of surrogates
        (b"[" * 100_000, Reason.BAD_JSON, ""),
        (b'{"a": "\xff"}', Reason.BAD_UTF8, ""),
        (b'{"w": "sport"}', Reason.BAD_FEATURE, "w"),
        (b'{"w": [["sport", 1, 2]]}', Reason.BAD_FEATURE, "w"),
    ],
)
def test_line_that_does_not_fit_is_rejected_alone(line: bytes, reason: Reason, column: str):
    table, numbers, rejects = json_rows([b'{"a": 1}', line, b'{"a": 2}'], 5, ["a"], {"w": PAIRS})
    assert table.column("a").to_pylist() == ["1", "2"]
    assert numbers.tolist() == [5, 7]
    assert [(r.line, r.reason, r.column) for r in rejects] == [(6, reason, column)]


def test_head_without_a_member_is_refused():
    with pytest.raises(
        SchemaError, match=r"Field 'itm' reads member 'itm'.* Did you mean 'item'.*members \(2\): item, u"
    ):
        check_json_head(Path("a.jsonl"), b'{"item": 1}\n{"u": 2}\n{"cut', {"itm": "Field 'itm'"})
    check_json_head(Path("a.jsonl"), b'{"item": 1}\n{"u": 2}', {"u": "Field 'u'"})
    check_json_head(Path("a.jsonl"), b"", {"u": "Field 'u'"})  # of an empty file other messages tell


def test_list_instead_of_lines_is_refused_with_the_command_that_converts_it():
    with pytest.raises(InputDataError, match=r"begins a JSON list.*jq -c '\.\[\]' a\.json > a\.jsonl"):
        check_json_head(Path("a.json"), b'[\n{"item": 1},', {"item": "Field 'item'"})
