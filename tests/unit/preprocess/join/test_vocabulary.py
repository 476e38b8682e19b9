"""The vocabulary."""

from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.schema import load_schema
from preprocess.join.vocabulary import MergeJob, write_vocabulary


def test_field_whose_ids_do_not_fit_memory_is_named(tmp_path: Path):
    schema = load_schema("aliccp")
    kept = [0] * len(schema.fields)
    kept[0] = 1000
    job = MergeJob(work=tmp_path, schema=schema, buckets=1, names=(), known_fields=(), known_tables=(), min_count=1)
    with pytest.raises(ConfigError, match=r"Field '101' keeps 1000 ids; .*Raise memory_gb or min_count"):
        write_vocabulary(tmp_path / "v.parquet", job, kept, 10)
