"""Two trained runs score a weighted split: numbers against scikit-learn and pandas on what ``esmm predict`` writes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.config import build
from esmm_dist.errors import ConfigError, InputDataError, SchemaError
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.progress import NoProgress
from esmm_dist.report.compare_runs.compare import compare_runs
from esmm_dist.report.compare_runs.comparison import paired_differences
from esmm_dist.report.compare_runs.config import CompareRunsConfig
from esmm_dist.report.run_scores.gain_pictures import gain_at
from esmm_dist.report.run_scores.kept_scores import ScoreKeeper
from esmm_dist.report.run_scores.score_run import ScoreRequest, score_run
from esmm_dist.report.run_scores.scores import RunScores
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from launcher.commands.compare_runs import compare_runs_command
from tests.support.tiny_dataset import ITEMS, tiny_groups, tiny_schema, weighted, weighted_schema, write_dataset
from tests.support.vocabulary import write_vocabulary
from tests.unit.launcher.commands.played_context import CONTEXT

TEST = weighted(tiny_groups(120, seed=2, first_sample=5000), lambda sample: 1.0 + sample % 3)
SCORE = ("run-a", "run-b")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ``data``, and ``run-a`` and ``run-b`` of other batches and networks."""
    folder = tmp_path_factory.mktemp("runs")
    splits = {"train": weighted(tiny_groups(160), lambda _: 1.0), "test": TEST}
    write_dataset(folder / "data", splits, schema=weighted_schema())
    write_vocabulary(folder / "data", [("item", ITEMS + item, 10 * item + 1) for item in range(12)])
    for name, records, units in zip(SCORE, (16, 64), ([8], [4, 4]), strict=True):
        settings = {
            "data": folder / "data",
            "run": str(folder / name),
            "input": {"global_batch_records": records, "epochs": 1},
            "embedding": {"embedding_dim": 4},
            "model": {"hidden_units": units},
        }
        train(build(TrainConfig, settings, where="test"), NoProgress())
    return folder


@pytest.fixture(scope="module")
def predicted(folder: Path) -> dict[str, pd.DataFrame]:
    """Return by run a row an impression: sample_id, labels, weight, user, item, and the columns of predictions."""
    labels = pd.DataFrame(
        [
            {
                "sample_id": i.sample_id,
                "click": i.labels[0],
                "conversion": i.labels[1],
                "weight": i.weight,
                "user": group.fields[0][0][0],
                "item": i.fields[0][0][0],
            }
            for group in TEST
            for i in group.impressions
        ]
    )
    frames = {}
    for run in SCORE:
        out = folder / f"{run}.parquet"
        predict(PredictConfig(run=str(folder / run), data=folder / "data", out=out), NoProgress())
        frames[run] = pd.read_parquet(out).merge(labels, on="sample_id", validate="one_to_one")
    return frames


def scored(folder: Path, run: str, keeper: ScoreKeeper | None = None) -> RunScores:
    request = ScoreRequest(data=folder / "data", by=("item",), by_values=3)
    return score_run(CheckpointChoice(run=str(folder / run)), request, NoProgress(), keeper=keeper)


@pytest.fixture(scope="module")
def first(folder: Path) -> RunScores:
    return scored(folder, "run-a")


def of_task(frame: pd.DataFrame, task: str) -> tuple[pd.DataFrame, str, str]:
    if task == "cvr":
        return frame[frame["click"] == 1], "conversion", "pcvr"
    return (frame, "click", "pctr") if task == "ctr" else (frame, "conversion", "pctcvr")


@pytest.mark.parametrize("task", ["ctr", "cvr", "ctcvr"])
def test_scores_of_a_run_are_those_of_its_predictions(first, predicted, task):
    frame, label, column = of_task(predicted["run-a"], task)
    found = first.tasks[task]
    assert (found.label, found.column, found.metrics["impressions"]) == (label, column, len(frame))
    weights = frame["weight"]
    auc = roc_auc_score(frame[label], frame[column], sample_weight=weights)
    assert found.metrics["auc"] == pytest.approx(auc, abs=1e-4)  # float32 columns may tie
    assert found.metrics["log_loss"] == pytest.approx(
        log_loss(frame[label], frame[column], sample_weight=weights), rel=1e-5
    )
    ranked = frame.sort_values(column, ascending=False)
    reached = np.interp(0.2 * weights.sum(), ranked["weight"].cumsum(), (ranked["weight"] * ranked[label]).cumsum())
    assert gain_at(found.gain, 0.2) == pytest.approx(reached / (weights * frame[label]).sum(), abs=0.01)
    for value, counts in ((1, found.histogram.positives), (0, found.histogram.negatives)):
        assert sum(counts) == pytest.approx(weights[frame[label] == value].sum())
    total = sum(d["weight"] * d["mean_prediction"] for d in found.deciles)
    assert total == pytest.approx((weights * frame[column]).sum(), rel=1e-5)


def test_values_of_a_field_have_their_own_auc_and_calibration(first, predicted):
    (table,) = [each for each in first.segments if each["by_values"]]
    assert table["name"] == "item"
    frame = predicted["run-a"]
    top = frame["item"].value_counts()
    of_values = [each for each in table["segments"] if each["id"] is not None]
    assert len(of_values) == 3
    for segment in of_values:
        rows = frame[frame["item"] == segment["id"]]
        assert len(rows) == segment["tasks"]["ctr"]["impressions"] >= top.iloc[3]
        weights = rows["weight"]
        expected = roc_auc_score(rows["click"], rows["pctr"], sample_weight=weights)
        assert segment["tasks"]["ctr"]["auc"] == pytest.approx(expected, abs=1e-3)
        ratio = (weights * rows["pctr"]).sum() / (weights * rows["click"]).sum()
        assert segment["tasks"]["ctr"]["calibration"] == pytest.approx(ratio, rel=1e-5)
    assert {each["name"] for each in first.segments} >= {"users", "items"}


def test_a_comparison_is_that_of_the_predictions(folder, predicted):
    config = CompareRunsConfig(a=str(folder / "run-a"), b=str(folder / "run-b"), data=folder / "data")
    outcome = compare_runs_command(config, CONTEXT)
    both = predicted["run-a"].merge(predicted["run-b"], on="sample_id", suffixes=("_a", "_b"))
    for task in ("ctr", "cvr", "ctcvr"):
        frame, label, column = of_task(both.rename(columns={"click_a": "click"}), task)
        actual = frame["click" if label == "click" else "conversion_a"]
        aucs = [roc_auc_score(actual, frame[f"{column}_{run}"], sample_weight=frame["weight_a"]) for run in "ab"]
        found = outcome.result["tasks"][task]["auc"]
        assert (found["a"], found["b"]) == pytest.approx(aucs, abs=1e-4)
        assert found["difference"] == pytest.approx(found["a"] - found["b"])
        assert found["by_user"]
        spearman = frame[f"{column}_a"].corr(frame[f"{column}_b"], method="spearman")
        assert outcome.result["tasks"][task]["rank_correlation"] == pytest.approx(spearman, abs=1e-4)
    assert outcome.result["users"] == both["user_a"].nunique()
    assert any(line.startswith("ctcvr: ") for line in outcome.lines)


def test_scores_kept_while_runs_are_scored_give_the_same_comparison(folder):
    tree, kept = LabelTree.of(["click", "conversion"]), []
    for run in SCORE:
        keeper = ScoreKeeper()
        scored(folder, run, keeper)
        kept.append(keeper.kept(run, tree))
    assert (kept[0].sample_ids != kept[1].sample_ids).any()  # batches of another size deal the lanes otherwise
    (apart,) = paired_differences(kept[::-1])
    config = CompareRunsConfig(a=str(folder / "run-a"), b=str(folder / "run-b"), data=folder / "data")
    found = compare_runs(config, NoProgress())
    for task, each in apart.tasks.items():
        assert each.auc.difference == pytest.approx(found.tasks[task].auc.difference, abs=1e-6)
        assert each.auc.standard_error_by_user == pytest.approx(found.tasks[task].auc.standard_error_by_user, rel=1e-3)


def test_one_checkpoint_under_two_names_is_refused(folder):
    step = scored(folder, "run-a").step
    config = CompareRunsConfig(a=str(folder / "run-a"), b=f"{folder / 'run-a'}:{step}", data=folder / "data")
    with pytest.raises(ConfigError, match=f"are both step {step} of .*Name two runs"):
        compare_runs(config, NoProgress())
    with pytest.raises(ConfigError, match="a and b are both run. Name two runs"):
        CompareRunsConfig(a="run", b="run")


def test_a_data_set_of_another_schema_or_out_of_reach_is_refused(folder, tmp_path):
    write_dataset(tmp_path / "other", {"test": tiny_groups(4)}, schema=tiny_schema(labels=("click", "buy")))
    request = ScoreRequest(data=tmp_path / "other")
    with pytest.raises(SchemaError, match="is not that of the model"):
        score_run(CheckpointChoice(run=str(folder / "run-a")), request, NoProgress())
    moved = folder / "data"
    moved.rename(folder / "away")
    try:
        with pytest.raises(InputDataError, match=r"is not within reach. Give the folder of the data set \(--data\)."):
            score_run(CheckpointChoice(run=str(folder / "run-a")), ScoreRequest(), NoProgress())
    finally:
        (folder / "away").rename(moved)
