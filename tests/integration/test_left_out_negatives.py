"""A planted log from raw files to predictions: left-out negatives and the calibration leave probabilities right."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from esmm_dist.arrays import F64
from esmm_dist.schema.manifest import read_manifest
from launcher import cli
from tests.support.few_users_log import FewUsersLog, write_few_users_log

pytestmark = pytest.mark.timeout(300)

KEPT = 0.1


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> FewUsersLog:
    return write_few_users_log(tmp_path_factory.mktemp("log"), impressions=30_000)


def esmm(*line: object) -> None:
    assert cli.main([str(each) for each in line]) == 0


def pctr(log: FewUsersLog, folder: Path, *flags: str) -> F64:
    """Train on the log, prepared with flags; return the predictions of its test split, uncalibrated."""
    esmm("preprocess", log.raw, folder / "data", "--schema", log.schema, "--validation-share", "0.15", *flags)
    esmm("train", "--data", folder / "data", "--run", folder / "run", "--no-baseline")
    out = folder / "scores.parquet"
    line = ["--run", folder / "run", "--data", folder / "data", "--split", "test"]
    esmm("predict", *line, "--no-calibrate", "--out", out)
    return np.asarray(pq.read_table(out)["pctr"].to_numpy(), np.float64)


@pytest.fixture(scope="module")
def thinned(log, tmp_path_factory) -> tuple[Path, F64]:
    folder: Path = tmp_path_factory.mktemp("thinned")
    return folder, pctr(log, folder, "--keep-negatives", str(KEPT))


def evaluated(folder: Path, capsys: Any, split: str, *flags: str) -> dict[str, Any]:
    capsys.readouterr()
    line = ["--run", folder / "run", "--data", folder / "data", "--split", split, "--no-baseline", "--json"]
    esmm("evaluate", *line, *flags)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.slow  # its short form: in tests/unit/inference/test_calibrated_scores.py
def test_predictions_are_those_of_the_full_log_and_without_the_correction_far_off(log, thinned, tmp_path):
    folder, corrected = thinned
    assert read_manifest(folder / "data").keep_negatives == KEPT
    full = pctr(log, tmp_path)
    assert corrected.mean() == pytest.approx(full.mean(), rel=0.15)
    logits = np.log(corrected) - np.log1p(-corrected) - np.log(KEPT)
    uncorrected = 1 / (1 + np.exp(-logits))
    assert uncorrected.mean() > 2 * full.mean()


def test_platt_is_chosen_and_makes_every_task_right_on_the_validation_split(thinned, capsys):
    folder, _ = thinned
    found = evaluated(folder, capsys, "validation")
    assert [label["curve"]["method"] for label in found["calibrated_by"]["labels"]] == ["platt", "platt"]
    assert [found[task]["calibration"] for task in ("ctr", "cvr")] == pytest.approx([1.0, 1.0], abs=0.003)
    assert found["ctcvr"]["calibration"] == pytest.approx(1.0, abs=0.03)
    raw = evaluated(folder, capsys, "validation", "--no-calibrate")
    assert raw["calibrated_by"] is None
    for task in ("ctr", "cvr"):
        assert found[task]["auc"] == raw[task]["auc"]
        assert found[task]["log_loss"] < raw[task]["log_loss"]


def test_what_the_refusal_says_helps(log, thinned, tmp_path, capsys):
    data, run = tmp_path / "data", ["--run", tmp_path / "run", "--no-baseline", "--max-steps", "3"]
    esmm("preprocess", log.raw, data, "--schema", log.schema)
    line = [str(each) for each in ("train", "--data", data, *run, "--calibrate", "isotonic")]
    assert cli.main(line) == 2
    said = capsys.readouterr().err
    assert f"calibrate is isotonic, and {data} has no validation split to fit it on." in said
    assert "(esmm preprocess --validation-share 0.1), or leave calibrate out" in said
    esmm("preprocess", log.raw, tmp_path / "other", "--schema", log.schema, "--validation-share", "0.1")
    esmm("train", "--data", tmp_path / "other", *run, "--calibrate", "isotonic")
    assert "Calibrated by isotonic on validation at step 3:" in capsys.readouterr().err
