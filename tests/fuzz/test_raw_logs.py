"""Raw logs with damage: every line comes out as a row or as a reject with its reason, whatever is in it."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.errors import EsmmError
from esmm_dist.schema import load_schema
from preprocess.read.aliccp.chunk import ParsedRows, parse_lines
from preprocess.read.aliccp.line import Kind, ParsedLine, parse_line
from preprocess.read.chunks import split_lines
from tests.fuzz.mutations import mutated
from tests.unit.preprocess.raw_logs import make_log, read_impressions, run, small_schema

LOG = make_log(40, 5)
TEXTS: dict[Kind, bytes] = {
    "skeleton": b"\n".join(LOG.skeleton["train"]) + b"\n",
    "common": b"\n".join(LOG.common["train"] * 3) + b"\n",
}
NOISE = st.one_of(
    st.binary(min_size=1, max_size=8),
    st.sampled_from(
        [b"\n", b"\r\n", b"\x01", b"\x02", b"\x03", b",", b"\x00", b"\xff", b"\xef\xbb\xbf", b'"', b"1e39"]
    ),
    st.sampled_from([b"9" * 30, b"-1", b"nan", b"0x10", b" ", b"1_0", "²".encode(), b"\n\n", b"1e-400", b"9" * 5000]),
)


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    return load_schema(str(small_schema(tmp_path_factory.mktemp("schema")))).fields


@pytest.mark.parametrize("kind", ["skeleton", "common"])
@settings(max_examples=250)
@given(data=st.data())
def test_each_line_is_a_row_or_a_reject_as_the_grammar_says(fields, kind, data):
    """In = out + rejects by reason, and the fast reader gives what the slow one, which is the grammar, gives."""
    text = data.draw(mutated(TEXTS[kind], NOISE))
    lines = split_lines(text)
    parsed = parse_lines(text, kind, fields)
    rejected = {each.line: each.reason for each in parsed.rejects}
    assert sorted([*parsed.lines.tolist(), *rejected]) == list(range(len(lines)))
    places = {line: row for row, line in enumerate(parsed.lines.tolist())}
    for number, line in enumerate(lines):
        expected = parse_line(line, kind, fields)
        if isinstance(expected, ParsedLine):
            assert_same(parsed, places[number], expected)
        else:
            assert rejected[number] == expected


def assert_same(parsed: ParsedRows, row: int, expected: ParsedLine) -> None:
    mine = parsed.features.take(np.array([row]))
    features = list(zip(mine.field_of_feature().tolist(), mine.ids.tolist(), mine.values.tolist(), strict=True))
    by_field = sorted(expected.features, key=lambda feature: feature[0])  # within a field in log order
    assert features == [(f, i, float(np.float32(v))) for f, i, v in by_field]
    assert parsed.sample_ids[row] == expected.sample_id
    assert tuple(parsed.labels[row].tolist()) == expected.labels


def check_refused(error: EsmmError, out: Path) -> None:
    """Check that a log was refused for what it holds, not because lines were lost on the way."""
    assert "add up" not in str(error)
    assert not (out / "manifest.json").exists()


@settings(max_examples=25)
@given(skeleton=mutated(TEXTS["skeleton"], NOISE), common=mutated(TEXTS["common"], NOISE))
def test_a_damaged_log_is_preprocessed_with_every_line_accounted_for_or_refused(skeleton, common):
    with tempfile.TemporaryDirectory() as temporary:
        raw = Path(temporary) / "raw"
        raw.mkdir()
        (raw / "sample_skeleton_train.csv").write_bytes(skeleton)
        (raw / "common_features_train.csv").write_bytes(common)
        try:
            manifest = run(raw, Path(temporary) / "out")
        except EsmmError as e:
            check_refused(e, Path(temporary) / "out")
            return
        report = manifest.report["splits"]["train"]
        for kind, text in (("skeleton", skeleton), ("common", common)):
            assert report[kind]["lines_in"] == len(split_lines(text))
            assert report[kind]["lines_in"] == report[kind]["rows_out"] + sum(report[kind]["rejected"].values())
        found = read_impressions(Path(temporary) / "out", manifest, "train")
        assert len(found) == report["skeleton"]["rows_out"]
        good = [parse_line(line, "skeleton", manifest.schema.fields) for line in split_lines(skeleton)]
        samples = sorted(line.sample_id for line in good if isinstance(line, ParsedLine))
        assert set(i.sample_id for i in found) <= set(samples)


FLAT_SCHEMA = """
name: flat
labels: [click, buy]
source: {form: flat, files: {train: "log.csv"}, labels: {click: c, buy: b}, sample_id: id}
fields:
  - {name: u, owner: user}
  - {name: h, owner: user, multi_hot: true, weighted: true}
  - {name: i, owner: item}
"""
FLAT = b"id,c,b,u,h,i\n" + b"".join(b'%d,%d,0,"%d",%d:0.5|7:1,%d\n' % (n, n % 2, n % 5, n, n % 3) for n in range(30))


@settings(max_examples=25)
@given(text=mutated(FLAT, NOISE))
def test_a_damaged_flat_log_is_preprocessed_with_every_line_accounted_for_or_refused(text):
    with tempfile.TemporaryDirectory() as temporary:
        raw, schema = Path(temporary) / "raw", Path(temporary) / "flat.yaml"
        raw.mkdir()
        schema.write_text(FLAT_SCHEMA)
        (raw / "log.csv").write_bytes(text)
        try:
            manifest = run(raw, Path(temporary) / "out", schema=str(schema))
        except EsmmError as e:
            check_refused(e, Path(temporary) / "out")
            return
        report = manifest.report["splits"]["train"]["log"]
        assert report["lines_in"] == report["rows_out"] + sum(report["rejected"].values())
        assert manifest.splits["train"].impressions == report["rows_out"]
        assert len(read_impressions(Path(temporary) / "out", manifest, "train")) == report["rows_out"]
