"""The vocabulary."""

from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.schema import load_schema
from preprocess.join.vocabulary import MergeJob, write_vocabulary
from tests.unit.preprocess.raw_logs import make_log, run


def test_field_whose_ids_do_not_fit_memory_is_named(tmp_path: Path):
    schema = load_schema("aliccp")
    kept = [0] * len(schema.fields)
    kept[0] = 1000
    job = MergeJob(work=tmp_path, schema=schema, buckets=1, names=(), known_fields=(), known_tables=(), min_count=1)
    with pytest.raises(ConfigError, match=r"Field '101' keeps 1000 ids; .*Raise memory_gb or min_count"):
        write_vocabulary(tmp_path / "v.parquet", job, kept, 10)


def test_a_field_whose_ids_memory_does_not_hold_while_they_are_sorted_is_named(tmp_path: Path, monkeypatch):
    """64 bytes an id: 20 million of them would be needed for this, so an id is made to take more."""
    monkeypatch.setattr("preprocess.join.vocabulary._SORT_BYTES_PER_ID", 10**9)
    with pytest.raises(
        ConfigError, match=r"keeps \d+ ids; sorting them takes \d+\.\d GB, more than memory_gb leaves\. Raise"
    ):
        run(make_log().write(tmp_path / "raw"), tmp_path / "out", memory_gb=4)
