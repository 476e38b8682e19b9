"""What scoring holds in memory does not grow with the rows of the log."""

import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esmm_dist.inference.predict import PredictConfig
from esmm_dist.progress import NoProgress
from esmm_dist.raw_scoring import raw_log
from esmm_dist.raw_scoring.score_raw import score_raw
from tests.support.shop_log import shop_rows, write_shop_csv, write_shop_parquet

_ROWS, _TIMES = 2_000, 8


class _Measured(NoProgress):
    """Measures what Python, NumPy and Arrow hold at the most while rows are scored."""

    def __init__(self) -> None:
        self.most = self._arrow = 0

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        if task == "Scoring":
            tracemalloc.start()

    def advance(self, amount: float, note: str = "") -> None:
        self._arrow = max(self._arrow, pa.total_allocated_bytes())

    def finish(self) -> None:
        if tracemalloc.is_tracing():
            self.most = tracemalloc.get_traced_memory()[1] + self._arrow
            tracemalloc.stop()


@pytest.mark.parametrize("form", [pytest.param("csv", marks=pytest.mark.slow), "parquet"])
def test_eight_times_the_rows_take_no_more_memory(
    shop: Path, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(raw_log, "CHUNK_BYTES", 40_000)  # some 500 rows, as a row group below
    rows = shop_rows(_ROWS, seed=4)
    for name, times in (("small", 1), ("large", _TIMES)):
        path = tmp_path / f"{name}.{form}"
        if form == "csv":
            write_shop_csv(path, rows * times)
        else:
            write_shop_parquet(path, rows)
            pq.write_table(pa.concat_tables([pq.read_table(path)] * times), path, row_group_size=500)
    most = {}
    for name, times in (("small", 1), ("small", 1), ("large", _TIMES)):  # the first one compiles
        progress = _Measured()
        out = tmp_path / f"{name}-{len(most)}.scores.csv"
        config = PredictConfig(run=str(shop / "run"), raw=str(tmp_path / f"{name}.{form}"), out=out)
        assert score_raw(config, progress).rows == _ROWS * times
        most[name] = progress.most
    assert most["small"] > 100_000
    # The larger log has more chunks to remember, and its output waits until 65,536 rows are there
    waiting = (_TIMES - 1) * _ROWS * 40
    assert most["large"] < 1.5 * most["small"] + waiting
