"""A flat log of JSON lines is the data set of the same log as CSV."""

import gzip
from pathlib import Path

import pytest

from esmm_dist.errors import SchemaError
from tests.unit.preprocess.raw_logs import rejects, run, shard_bytes

SCHEMA = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {train: "log*"}
  labels: {click: clicked, conversion: bought}
  split: {test_share: 0.4, by: time, time: at}
  keep: [city]
fields:
  - {name: city, owner: user}
  - {name: interests, owner: user, multi_hot: true, weighted: true}
  - {name: price, owner: item, numeric: {buckets: quantile 4}}
  - {name: tags, owner: item, multi_hot: true}
"""
CSV = """at,city,interests,price,tags,clicked,bought
2024-01-01,Köln,sport:2.5|film:.5,7,a|b,1,0
2024-01-02,Bonn,sport:1e-2,7.5,b,1,true
2024-01-03,,,1.5,,0,0
2024-01-04,Köln,film:1,,a,false,0
2024-01-05,7,film:1,3,a,0,0
"""
JSON = r"""{"at": "2024-01-01", "city": "K\u00f6ln", "interests": [["sport", 2.5], ["film", 0.5]], "price": 7, "tags": ["a", "b"], "clicked": 1, "bought": 0}
{"at": "2024-01-02", "city": "Bonn", "interests": {"sport": 1e-2}, "price": 7.5, "tags": "b", "clicked": 1, "bought": true, "more": {"x": [1]}}
{"at": "2024-01-03", "price": 1.5, "city": null, "clicked": 0, "bought": 0}
{"at": "2024-01-04", "city": "Köln", "interests": "film:1", "tags": ["a"], "clicked": false, "bought": 0}
{"at": "2024-01-05", "city": 7, "interests": ["film:1"], "price": 3.0, "tags": ["a"], "clicked": 0, "bought": 0}
"""  # noqa: E501


def write(folder: Path, files: dict[str, bytes]) -> tuple[Path, str]:
    raw = folder / "raw"
    raw.mkdir(parents=True)
    for name, content in files.items():
        (raw / name).write_bytes(content)
    (folder / "own.yaml").write_text(SCHEMA)
    return raw, str(folder / "own.yaml")


def cut(text: str) -> dict[str, bytes]:
    lines = text.encode().splitlines(keepends=True)
    return {"log-1.jsonl": b"".join(lines[:2]), "log-2.ndjson.gz": gzip.compress(b"".join(lines[2:]))}


@pytest.mark.parametrize(
    "files",
    [{"log.jsonl": JSON.encode()}, {"log.json.gz": gzip.compress(JSON.replace("\n", "\r\n").encode())}, cut(JSON)],
    ids=["plain", "gz", "several"],
)
def test_json_lines_are_the_data_set_of_the_csv(tmp_path: Path, files: dict[str, bytes]):
    raw, schema = write(tmp_path / "csv", {"log.csv": CSV.encode()})
    expected = run(raw, tmp_path / "csv-data", schema=schema)
    raw, schema = write(tmp_path / "json", files)
    made = run(raw, tmp_path / "json-data", schema=schema, max_reject_share=0.0)
    assert shard_bytes(tmp_path / "json-data", made) == shard_bytes(tmp_path / "csv-data", expected)
    assert made.schema == expected.schema  # with the edges of the numbers


def test_rejected_line_is_named_by_its_place(tmp_path: Path):
    raw, schema = write(tmp_path, {"log.jsonl": JSON.replace('"city": "Bonn"', '"city": ["Bonn"]').encode()})
    run(raw, tmp_path / "data", schema=schema, max_reject_share=0.5)
    assert rejects(tmp_path / "data", "train") == [("log.jsonl", 2, "bad_json")]


def test_member_that_no_object_has_is_refused(tmp_path: Path):
    raw, schema = write(tmp_path, {"log.jsonl": JSON.replace('"bought"', '"bougth"').encode()})
    with pytest.raises(SchemaError, match=r"Label 'conversion' reads member 'bought'.*Did you mean 'bougth'"):
        run(raw, tmp_path / "data", schema=schema)
