"""``esmm_dist.stats`` of tables in memory."""

from pathlib import Path

import pytest

import esmm_dist
from tests.unit.preprocess.test_counts_of_days import SCHEMA, rows


def test_a_table_is_looked_at_with_a_schema_file_or_a_schema(tmp_path: Path):
    log = rows(300)
    path = tmp_path / "own.yaml"
    path.write_text(SCHEMA % "")
    found = esmm_dist.stats(log, schema=path)
    good = log[log.click != "?"].drop_duplicates("id")
    assert found.splits["train"].funnel.impressions == len(good)
    assert (found.source, found.source_kind) == ("a table", "raw log")
    again = esmm_dist.stats({"train": log, "test": log[:50]}, schema=esmm_dist.Schema.from_yaml(path))
    assert again.splits["train"] == found.splits["train"]
    assert again.splits["test"].funnel.impressions > 0


def test_a_table_without_a_schema_is_refused():
    with pytest.raises(esmm_dist.EsmmError, match=r"a table, and schema is missing\. Give one; Schema\.from_"):
        esmm_dist.stats(rows(10))
