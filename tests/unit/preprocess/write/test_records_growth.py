"""What encoding the records of a partition costs an impression does not grow with the partition."""

from pathlib import Path

import numpy as np
import pytest

from preprocess.read import feature_rows, texts
from tests.unit.preprocess.raw_logs import make_log, run


@pytest.mark.parametrize("impressions", [100, 400])
def test_splits_of_rows_are_added_up_a_fixed_number_of_times(tmp_path: Path, monkeypatch, impressions: int):
    monkeypatch.setattr("preprocess.write.records._IMPRESSIONS_AT_ONCE", 8)
    added = []
    real = feature_rows.splits_of

    def counted(lengths: np.ndarray) -> np.ndarray:
        added.append(len(lengths))
        return real(lengths)

    monkeypatch.setattr(feature_rows, "splits_of", counted)
    monkeypatch.setattr(texts, "splits_of", counted)
    run(make_log(impressions, 30).write(tmp_path / "raw"), tmp_path / "out")
    # Rows as they are parsed, joined and filtered, of both kinds and splits, and once more in pieces of 8; it was
    # all rows for each piece before
    assert sum(added) < 12 * impressions
