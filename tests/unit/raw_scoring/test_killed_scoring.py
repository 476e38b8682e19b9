"""The command itself: killed with -9 and started again, or shared by two workers, it writes the same bytes."""

import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.shop_log import shop_rows, write_shop_parquet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

_DEADLINE_S = 120.0


def line_of(shop: Path, raw: Path, out: Path) -> list[str]:
    return ["predict", "--run", str(shop / "run"), "--raw", str(raw), "--out", str(out), "--part-rows", "1000"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_killed_scoring_and_one_of_two_workers_end_with_the_same_bytes(shop: Path, tmp_path: Path):
    write_shop_parquet(tmp_path / "part.parquet", shop_rows(1000, seed=4))
    log = pa.concat_tables([pq.read_table(tmp_path / "part.parquet")] * 60)
    pq.write_table(log, tmp_path / "log.parquet", row_group_size=1000)
    esmm, raw = [sys.executable, "-m", "launcher"], tmp_path / "log.parquet"
    subprocess.run([*esmm, *line_of(shop, raw, tmp_path / "whole")], check=True, capture_output=True)
    killed = subprocess.Popen([*esmm, *line_of(shop, raw, tmp_path / "killed")], stderr=subprocess.DEVNULL)
    end = time.monotonic() + _DEADLINE_S
    while not (tmp_path / "killed" / "part-00003.parquet").exists():
        assert killed.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    killed.kill()
    killed.wait()
    there = [path.name for path in (tmp_path / "killed").glob("part-*.parquet")]
    assert 4 <= len(there) < 60
    again = subprocess.run([*esmm, *line_of(shop, raw, tmp_path / "killed")], check=True, capture_output=True)
    assert f"{len(there)} parts were there from before." in again.stdout.decode()
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    workers = ["local", "--workers", "2", "--servers", "1", "--"]
    subprocess.run([*esmm, *workers, *line_of(shop, raw, tmp_path / "shared")], check=True, capture_output=True)
    assert contents(tmp_path / "shared") == contents(tmp_path / "whole")
