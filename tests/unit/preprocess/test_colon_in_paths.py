"""Relative paths whose first folder has a colon in its name, which Arrow takes for URIs (``2026-01-31T09:30/log``)."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.synthesize import synthesize
from tests.unit.preprocess.raw_logs import run, shard_bytes

SCHEMA = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {train: "log.parquet"}
  labels: {click: clicked, conversion: bought}
  sample_id: id
  split: {test_share: 0.5, by: time, time: at}
fields:
  - {name: user, owner: user}
  - {name: item, owner: item}
"""


def write(folder: Path) -> None:
    folder.mkdir()
    rows = range(40)
    columns = {name: [n * factor % 7 for n in rows] for name, factor in (("user", 2), ("item", 3))}
    labels = {"clicked": [n % 2 for n in rows], "bought": [2 if n == 5 else 0 for n in rows]}  # one row is rejected
    with pa.OSFile(str(folder.absolute() / "log.parquet"), "wb") as file:
        pq.write_table(pa.table({"id": [f"row-{n}" for n in rows], "at": list(rows), **columns, **labels}), file)


def test_log_data_set_and_vocabulary_may_lie_in_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text(SCHEMA)
    write(Path("plain"))
    write(Path("raw:1"))
    expected = run(Path("plain"), Path("out"), schema="own.yaml")
    manifest = run(Path("raw:1"), Path("out:1"), schema="own.yaml")
    assert shard_bytes(Path("out:1"), manifest) == shard_bytes(Path("out"), expected)
    assert manifest.report["splits"]["train"]["log"]["rejected"] == {"bad_label": 1}
    next_day = run(Path("raw:1"), Path("out:2"), schema=None, like="out:1", vocabulary="out:1")
    assert set(next_day.splits) == {"train", "test"}


def test_synthetic_log_may_be_written_into_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    synthesize(SynthConfig(out=Path("raw:1"), impressions=200))
    assert Path("raw:1/truth_test.parquet").is_file()
