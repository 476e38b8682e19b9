"""Logs with more fields than a byte counts: every field keeps its own ids, in both forms."""

from pathlib import Path

import numpy as np
import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.schema.feature_id import feature_id
from esmm_dist.schema.manifest import DatasetManifest
from preprocess.read.feature_rows import FeatureEntries, index_dtype
from preprocess.read.row_files import partition_of
from tests.unit.preprocess.raw_logs import common_line, key_of, make_log, read_impressions, run, skeleton_line

SCHEMA = """
name: wide
labels: [click, conversion]
source: {source}
fields:
"""
FLAT = '{form: flat, files: {train: "log.csv"}, labels: {click: click, conversion: order}, sample_id: id}'
ROWS = range(1, 5)
AROUND_A_BYTE = [256, 257, *(pytest.param(fields, marks=pytest.mark.slow) for fields in (254, 255, 300))]
"""The last that a byte tells apart, the first that it does not, and others."""


def write_schema(folder: Path, source: str, fields: int) -> str:
    """Write a schema of so many user fields ``u0``, ... and so many item fields ``i0``, ..."""
    path = folder / "wide.yaml"
    lines = [f"  - {{name: {owner[0]}{k}, owner: {owner}}}\n" for owner in ("user", "item") for k in range(fields)]
    path.write_text(SCHEMA.format(source=source) + "".join(lines))
    return str(path)


def check(out: Path, manifest: DatasetManifest, fields: int, expected: dict[tuple[str, int], int]) -> None:
    """Check each field of each row against the id that it has in the log."""
    found = {
        (name, i.sample_id): number
        for i in read_impressions(out, manifest, "train")
        for name, number, _ in (*i.user, *i.own)
    }
    assert len(expected) == 2 * fields * len(ROWS)
    assert found == expected
    kept = {name: counts["kept_ids"] for name, counts in manifest.report["vocabulary"].items()}
    assert kept == {name: len({n for (other, _), n in expected.items() if other == name}) for name, _ in expected}


@pytest.mark.parametrize("fields", AROUND_A_BYTE)
def test_each_field_of_a_wide_flat_log_has_its_own_ids(tmp_path: Path, fields: int):
    names = [f"{owner}{k}" for owner in "ui" for k in range(fields)]
    values = {(name, row): str((place + row) % 3) for place, name in enumerate(names) for row in ROWS}
    rows = [f"{row},0,0," + ",".join(values[name, row] for name in names) for row in ROWS]
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "log.csv").write_text("\n".join(["id,click,order," + ",".join(names), *rows]) + "\n")
    manifest = run(tmp_path / "raw", tmp_path / "out", schema=write_schema(tmp_path, FLAT, fields))
    check(tmp_path / "out", manifest, fields, {(n, row): feature_id(n, v) or 0 for (n, row), v in values.items()})


@pytest.mark.parametrize("fields", AROUND_A_BYTE)
def test_each_field_of_a_wide_log_in_the_aliccp_form_has_its_own_ids(tmp_path: Path, fields: int):
    ids = {(f"{owner}{k}", row): 1000 * k + row for owner in "ui" for k in range(fields) for row in ROWS}

    def of(owner: str, row: int) -> list[tuple[str, int, float]]:
        return [("unknown", 7, 1.0), *((name, n, 1.0) for (name, r), n in ids.items() if r == row and name[0] == owner)]

    raw = tmp_path / "raw"
    raw.mkdir()
    skeleton = [skeleton_line(row, 0, 0, key_of(row), of("i", row)) for row in ROWS]
    common = [common_line(key_of(row), of("u", row)) for row in ROWS]
    (raw / "sample_skeleton_train.csv").write_text("\n".join(skeleton) + "\n")
    (raw / "common_features_train.csv").write_text("\n".join(common) + "\n")
    manifest = run(raw, tmp_path / "out", schema=write_schema(tmp_path, "{form: aliccp}", fields))
    check(tmp_path / "out", manifest, fields, ids)
    assert manifest.report["splits"]["train"]["skeleton"]["ignored_features"] == {"unknown": len(ROWS)}


@pytest.mark.parametrize(
    ("count", "dtype"),
    [(1, np.uint8), (256, np.uint8), (257, np.uint16), (65536, np.uint16), (65537, np.uint32), (2**32, np.uint32)],
)
def test_an_index_is_as_wide_as_what_it_counts(count: int, dtype: type[np.unsignedinteger]):
    assert index_dtype(count) == dtype
    assert np.iinfo(dtype).max >= count - 1


def test_more_than_32_bits_count_are_refused():
    with pytest.raises(ValueError, match="4294967297 things cannot be told apart"):
        index_dtype(2**32 + 1)


@pytest.mark.parametrize("partitions", [256, 257, 65537])
def test_all_partitions_are_used(partitions: int):
    keys = np.arange(40 * 65537, dtype=np.uint64)
    assert len(np.unique(partition_of(keys, partitions))) == partitions


def test_a_field_beyond_the_fields_is_no_neighbours_feature():
    entries = FeatureEntries(
        row=np.array([0, 1]), field=np.array([2, 0], np.uint8), ids=np.array([7, 8]), values=np.ones(2, np.float32)
    )
    with pytest.raises(ValueError, match="field 2 of 2"):
        entries.in_order(np.arange(2), 2)


def test_a_record_longer_than_readers_take_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("preprocess.write.records.MAX_RECORD_BYTES", 500)
    with pytest.raises(
        ConfigError, match=r"A record of up to 64 impressions has [0-9,]+ bytes, and readers take 500 at"
    ):
        run(make_log(60, 1).write(tmp_path / "raw"), tmp_path / "out", group_size=64)
    assert run(tmp_path / "raw", tmp_path / "out", group_size=1).splits["train"].records == 60
