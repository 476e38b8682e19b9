"""One model and one day: the same predictions and AUCs, however the day was preprocessed."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from launcher.cli import resolve_line, run_line
from tests.unit.preprocess.raw_logs import Log, make_log, small_schema

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on ``data`` (train and test), and ``tomorrow``: the raw test log alone."""
    folder = tmp_path_factory.mktemp("days")
    log = make_log(600, users=30)
    raw, schema = log.write(folder / "raw"), small_schema(folder / "schema")
    run_line(["preprocess", str(raw), str(folder / "data"), "--schema", str(schema), "--min-count", "21",
              "--lanes", "4", "--group-size", "2", "--seed", "5"])  # fmt: skip
    run_line(["train", "--data", str(folder / "data"), "--run", str(folder / "run"), "--embedding-dim", "4",
              "--hidden-units", "8", "--global-batch-records", "16"])  # fmt: skip
    Log({"test": log.skeleton["test"]}, {"test": log.common["test"]}).write(folder / "tomorrow")
    return folder


def scores(folder: Path, data: Path) -> tuple[list[dict[str, float]], object]:
    out = folder / f"{data.name}.parquet"
    run_line(["predict", "--run", str(folder / "run"), "--data", str(data), "--out", str(out)])
    evaluated = run_line(["evaluate", "--run", str(folder / "run"), "--data", str(data)]).result
    rows: list[dict[str, float]] = pq.read_table(out).to_pylist()
    return rows, {task: json.dumps(evaluated[task]) for task in ("ctr", "cvr", "ctcvr")}


@pytest.mark.parametrize("source", ["data", "run", "run:STEP"])
def test_day_preprocessed_apart_is_scored_as_within_the_data_set(folder: Path, source: str):
    step = max(int(path.name.removeprefix("step-")) for path in (folder / "run" / "checkpoints").glob("step-*"))
    vocabulary = str(folder / source.replace("STEP", str(step)))
    apart = folder / f"apart-{source.replace(':', '-')}"
    line = ["preprocess", str(folder / "tomorrow"), str(apart), "--like", str(folder / "data")]
    settings = resolve_line(line).values
    assert (settings["min_count"], settings["lanes"], settings["group_size"], settings["seed"]) == (21, 4, 2, 5)
    result = run_line([*line, "--vocabulary", vocabulary]).result
    assert result["splits"].keys() == {"test"}
    assert scores(folder, apart) == scores(folder, folder / "data")


def test_flags_and_files_override_the_settings_of_like(folder: Path, tmp_path: Path):
    line = ["preprocess", str(folder / "tomorrow"), str(tmp_path / "out")]
    flag = resolve_line([*line, "--like", str(folder / "data"), "--lanes", "2"]).values
    assert (flag["lanes"], flag["min_count"]) == (2, 21)
    (tmp_path / "like.yaml").write_text(f"like: {folder / 'data'}\nlanes: 3\n")
    file = resolve_line([*line, "--config", str(tmp_path / "like.yaml")]).values
    assert (file["lanes"], file["min_count"]) == (3, 21)


def test_vocabulary_that_is_neither_data_nor_run_is_refused(folder: Path, tmp_path: Path):
    from esmm_dist.errors import ConfigError

    line = ["preprocess", str(folder / "tomorrow"), str(tmp_path / "out"), "--like", str(folder / "data")]
    with pytest.raises(ConfigError, match=r"raw, which is neither a data set \(it has no manifest\.json\) nor a run"):
        run_line([*line, "--vocabulary", str(folder / "raw")])
