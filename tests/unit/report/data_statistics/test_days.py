"""The days of a data set's statistics: those that preprocess counted."""

from pathlib import Path

import pytest

from esmm_dist.progress import NoProgress
from esmm_dist.report.data_statistics.config import StatsConfig
from esmm_dist.report.data_statistics.gather import data_statistics
from tests.unit.preprocess.raw_logs import run
from tests.unit.preprocess.test_counts_of_days import accepted, counted, rows, write


@pytest.mark.parametrize("keep_negatives", [1.0, 0.3])
def test_days_are_those_of_the_raw_text(tmp_path: Path, keep_negatives: float):
    log = rows().drop_duplicates("id")
    run(out=tmp_path / "out", **write(tmp_path, log), keep_negatives=keep_negatives)
    found = data_statistics(StatsConfig(data=tmp_path / "out"), NoProgress())
    expected = {day: each for day, each in counted(accepted(log)).items() if day}
    assert list(found.days) == ["train"]
    assert list(found.days["train"]) == list(expected)
    for day, funnel in found.days["train"].items():
        assert funnel.labels == expected[day]["labels"]
        assert funnel.impressions + funnel.left_out_negatives == expected[day]["impressions"]
    whole = found.splits["train"].funnel
    without = counted(accepted(log))[""]["impressions"]
    assert sum(day.impressions + day.left_out_negatives for day in found.days["train"].values()) + without == (
        whole.impressions + whole.left_out_negatives
    )
