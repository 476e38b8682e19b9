"""A run that goes on with its next data set, exactly, and knows what it has learned from."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from esmm_dist.checkpoint.format import checkpoint_folder, checkpoint_steps, read_checkpoint_manifest
from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.config import build
from esmm_dist.embedding.table_files import read_rows
from esmm_dist.errors import ConfigError
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.input.config import InputConfig
from esmm_dist.input.order import order_seed
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.model.metrics.summary import to_mapping as metrics_to_mapping
from esmm_dist.progress import NoProgress
from esmm_dist.schema.checksum import mapping_crc32c
from esmm_dist.schema.fields import Field
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.data_sets import DataSetRecord
from esmm_dist.train.result import TrainResult
from esmm_dist.train.run import train
from esmm_dist.train.run_folder import read_data_sets
from esmm_dist.train.run_settings import resumed_settings
from esmm_dist.train.trainer import Trainer
from launcher.cli import run_line
from launcher.run_files.plain_run import read_progress
from tests.support.tiny_dataset import tiny_groups, tiny_schema, write_dataset

FIRST, SECOND = 6, 16
"""Steps of the first data set, one pass, and of the second, two passes: 96 and 128 records, 16 a batch."""

LAST = FIRST + SECOND
CONTINUE: dict[str, Any] = {"continue": True}
ONE_PASS: dict[str, Any] = {"input": {"epochs": 1}}


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three data sets; the first and the second have a validation split."""
    folders: list[Path] = []
    for number, records in enumerate((96, 128, 64)):
        folders.append(tmp_path_factory.mktemp("days") / str(number))
        splits = {"train": tiny_groups(records, seed=number + 1, first_sample=10_000 * number)}
        if number < 2:
            splits["validation"] = tiny_groups(80, seed=number + 5, first_sample=10_000 * number + 5_000)
        write_dataset(folders[-1], splits)
    return folders


def learn(data: Path, run: Path | str, progress: NoProgress | None = None, **changes: Any) -> TrainResult:
    """Train with settings that shape the state: Adam on both sides, evictions, admission, dropout, cosine."""
    settings = {
        "data": data,
        "run": str(run),
        "embedding": {
            "embedding_dim": 4,
            "embedding_optimizer": "adam",
            "evict_every_steps": 3,
            "ttl_steps": 9,
            "admit_after": 2,
        },
        "model": {"hidden_units": [6], "dropout": 0.3},
        "schedule": "cosine",
        "warmup_steps": 2,
        "log_every_steps": 4,
        "checkpoint": {"checkpoint_every_steps": 5, "keep_checkpoints": 9},
        **changes,
        "evaluation": {"eval_every_steps": 7, "baseline": False, **changes.pop("evaluation", {})},
        "input": {"global_batch_records": 16, **changes.pop("input", {})},
    }
    return train(build(TrainConfig, settings, where="test"), progress or NoProgress())


def learn_second(days: list[Path], run: Path | str, progress: NoProgress | None = None, **changes: Any) -> TrainResult:
    given = {"continue": True, "input": {"epochs": 2}, "evaluation": {"eval_first": True}, **changes}
    return learn(days[1], run, progress, **given)


@pytest.fixture(scope="module")
def first(days: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned from the first data set."""
    run = tmp_path_factory.mktemp("first") / "run"
    assert learn(days[0], run, input={"epochs": 1}).step == FIRST
    return run


@pytest.fixture(scope="module")
def second(days: list[Path], first: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    """The same, which has gone on with the second one."""
    run = tmp_path_factory.mktemp("second") / "run"
    shutil.copytree(first, run)
    return run, learn_second(days, run)


@pytest.fixture
def run(first: Path, tmp_path: Path) -> Path:
    """A copy of the run after its first data set."""
    return Path(shutil.copytree(first, tmp_path / "run"))


def contents(run: Path) -> dict[str, Any]:
    """Return all that a run holds of its last checkpoint, its losses, its metrics and what it has learned from."""
    folder = run / f"checkpoints/step-{LAST:08d}"
    found: dict[str, Any] = {path.name: path.read_bytes() for path in folder.glob("*.arrow")}
    with np.load(folder / "dense.npz") as arrays:
        found |= {name: arrays[name].tobytes() for name in arrays.files}
    manifest = open_checkpoint(Folder.open(run), LAST).manifest
    found["calibration"], found["data_sets"] = manifest.calibration, manifest.state["data_sets"]
    metrics = json.loads((run / "metrics.json").read_text())
    found["metrics"] = [each for each in metrics["evaluations"] if each["step"] % 7 == 0 or each["step"] == LAST]
    for name in ("train_log.jsonl", "progressive.json", "data_sets.json"):
        found[name] = (run / name).read_text()
    return found


def test_steps_rows_towers_and_their_optimizer_go_on(first, second):
    run, result = second
    assert (result.step, result.total_steps, result.impressions) == (LAST, LAST, 2 * impressions_of(result))
    assert checkpoint_steps(Folder.open(run)) == [22, 20, 15, 10, 6, 5]
    before, after = (open_checkpoint(Folder.open(run), step) for step in (FIRST, LAST))
    iterations = next(name for name in after.dense() if "iteration" in name)
    assert (int(before.dense()[iterations]), int(after.dense()[iterations])) == (FIRST, LAST)
    rows = {step: read_rows(c.folder, table_of(c)) for step, c in ((FIRST, before), (LAST, after))}
    # Evicted by age: a row of the first data set is there only if the second one has it too
    assert rows[LAST].last_step.min() >= LAST - 1 - 9
    kept = np.intersect1d(rows[FIRST].ids, rows[LAST].ids)
    assert len(kept) > 10
    counts = [dict(zip(each.ids.tolist(), each.count.tolist(), strict=True)) for each in rows.values()]
    assert any(counts[1][i] > counts[0][i] for i in kept.tolist())
    log = [json.loads(line)["step"] for line in (run / "train_log.jsonl").read_text().splitlines()]
    assert log == [4, FIRST, 8, 12, 16, 20, LAST]
    assert result.lines()[1] == f"Data set 2 of the run: {result.data_sets[1].data}, steps 7 to 22."


def impressions_of(result: TrainResult) -> int:
    return result.data_sets[-1].impressions


def table_of(checkpoint: Any) -> Any:
    return next(file for file in checkpoint.manifest.tables if file.kind == "rows")


def test_the_schedule_and_the_warm_up_begin_anew_with_each_data_set(days, run):
    """The first step of the second data set has half of the rate: 1 of 2 steps of the warm-up."""
    rates = []

    settings = {
        "data": days[1], "run": str(run), "continue": True, "schedule": "cosine", "warmup_steps": 2,
        "embedding": {"embedding_dim": 4, "embedding_optimizer": "adam", "evict_every_steps": 3, "ttl_steps": 9,
                      "admit_after": 2},
        "model": {"hidden_units": [6], "dropout": 0.3}, "input": {"global_batch_records": 16, "epochs": 2},
    }  # fmt: skip
    with Trainer(build(TrainConfig, settings, where="test"), NoProgress()) as trainer:
        for _ in range(3):
            trainer.train_steps(1)
            rates.append(float(trainer._state.compiled.optimizer.learning_rate.numpy()))
        full = trainer.config.dense.learning_rate
    assert rates[0] == pytest.approx(full / 2)
    assert rates[1] == pytest.approx(full)
    assert rates[2] == pytest.approx(full)  # where the cosine begins


@pytest.mark.parametrize("pieces", [[1, 9, 15]], ids=str)
def test_a_data_set_in_pieces_ends_with_the_same_bytes(days, run, second, pieces):
    for max_steps in [*pieces, None]:
        learn_second(days, run, max_steps=max_steps)
    assert contents(run) == contents(second[0])


@pytest.mark.parametrize(("lost_after", "told"), [(FIRST, False), (FIRST, True), (10, False)])
def test_a_run_that_lost_all_after_an_older_checkpoint_ends_with_the_same_bytes(
    days, second, tmp_path, lost_after, told
):
    """Also where no checkpoint of the second data set was written: the list in the run says that it had begun."""
    run = tmp_path / "run"
    shutil.copytree(second[0], run)
    for step in [each for each in checkpoint_steps(Folder.open(run)) if each > lost_after]:
        shutil.rmtree(run / f"checkpoints/step-{step:08d}")
    learn_second(days, run, **{"continue": told})
    assert contents(run) == contents(second[0])


def test_killed_before_its_first_step_nothing_has_changed(days, run, second):
    before = (run / "config.yaml").read_text()

    class Killed(Exception):
        pass

    class KilledAtTheFirstStep(NoProgress):
        def advance(self, amount: float, note: str = "") -> None:
            raise Killed

    with pytest.raises(Killed):  # where the step itself has been made, and nothing of it was written
        learn_second(days, run, KilledAtTheFirstStep())
    assert (run / "config.yaml").read_text() == before
    assert [each.data for each in read_data_sets(Folder.open(run))] == [str(days[0])]
    assert learn(days[0], run, input={"epochs": 1}).impressions == 0  # and it resumes as it was
    learn_second(days, run)
    assert contents(run) == contents(second[0])


def test_in_an_object_store_it_ends_the_same(days, first, second, s3):
    uri = s3.uri("bucket/days")
    learn(days[0], uri, input={"epochs": 1})
    for max_steps in (3, None):
        result = learn_second(days, uri, max_steps=max_steps)
    assert result.step == LAST
    run = Folder.open(uri)
    manifests = [read_checkpoint_manifest(checkpoint_folder(each, LAST)) for each in (run, Folder.open(second[0]))]
    assert manifests[0].tables == manifests[1].tables  # with checksums of their bytes
    assert manifests[0].dense.crc32c == manifests[1].dense.crc32c
    assert manifests[0].state["data_sets"] == manifests[1].state["data_sets"]
    assert run.read_bytes("progressive.json") == (second[0] / "progressive.json").read_bytes()


def test_what_is_done_is_not_done_again_and_another_needs_to_be_told(days, second, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(second[0], run)
    result = learn_second(days, run)
    assert (result.step, result.impressions) == (LAST, 0)
    assert result.lines()[0] == (
        f"Nothing left to do: {run} is complete (step 22 of 22; {result.rows} embedding rows)."
    )
    with pytest.raises(ConfigError, match="is not the data set that .* was trained on last, .*--continue"):
        learn(days[2], run, input={"epochs": 1})
    with pytest.raises(ConfigError, match=r"has learned from .* already, in steps 1 to 6\. Give the next"):
        learn(days[0], run, **CONTINUE)
    again = learn(days[0], run, again=True, **CONTINUE, **ONE_PASS)
    assert (again.step, len(again.data_sets), again.data_sets[2].is_same(again.data_sets[0])) == (LAST + 6, 3, True)
    assert order_of(days[0], LAST) != order_of(days[0], 0)


def order_of(data: Path, first_step: int) -> list[int]:
    reader = BatchReader(data, read_manifest(data), "train", InputConfig(global_batch_records=16))
    return [int(i) for batch in reader.epoch(0, first_step=0, seed=order_seed(1, first_step)) for i in batch.sample_ids]


def test_a_data_set_that_is_not_finished_is_finished_or_left_at_that_first(days, tmp_path):
    run = tmp_path / "run"
    settings: dict[str, Any] = {"input": {"epochs": 2}}
    assert learn(days[0], run, max_steps=4, **settings).step == 4
    assert learn_second(days, tmp_path / "run", max_steps=1).step == 5  # that was all that it was to do
    shutil.rmtree(run)
    stopped = learn(days[0], run, StopsAt(5), checkpoint={"checkpoint_every_steps": 1}, **settings)
    assert stopped.stopped_by == "SIGTERM"
    message = (
        f"has not finished .*, with which it has made {stopped.step} steps. .* or leave it at that: "
        f"esmm train --run .* --max-steps {stopped.step}"
    )
    with pytest.raises(ConfigError, match=message):
        learn_second(days, run)
    run_line(["train", "--run", str(run), "--max-steps", str(stopped.step)])
    assert learn_second(days, run, max_steps=1).step == stopped.step + 1


class StopsAt(NoProgress):
    """Sends the process SIGTERM at a step."""

    def __init__(self, step: int) -> None:
        self.step, self.steps = step, 0

    def advance(self, amount: float, note: str = "") -> None:
        self.steps += 1
        if self.steps == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


def test_records_that_mean_something_else_are_refused(days, run, tmp_path):
    fields = tuple(
        Field(name="tags", owner="item", multi_hot=True, combiner="mean") if each.name == "tags" else each
        for each in tiny_schema().fields
    )
    assert fields != tiny_schema().fields
    write_dataset(tmp_path / "other", {"train": tiny_groups(64)}, schema=tiny_schema(fields=fields))
    with pytest.raises(
        ConfigError, match=r"cannot be the next data set of the run, .*fields\.tags\.combiner is .*--like .*"
    ):
        learn(tmp_path / "other", run, **CONTINUE)


def test_settings_that_shape_weights_and_rows_stay_and_rates_may_change(days, run):
    with pytest.raises(ConfigError, match=r"hidden_units is .* but .* in .*step-00000006.*Set it back to"):
        learn_second(days, run, model={"hidden_units": [7], "dropout": 0.3})
    with pytest.raises(ConfigError, match="seed is 5 but 1"):
        learn_second(days, run, seed=5)
    with pytest.raises(ConfigError, match=r"init_from is x, but .* goes on from its own weights, those of step 6"):
        learn_second(days, run, init_from="x")
    with pytest.raises(ConfigError, match="again is set, which says .* and continue is not"):
        learn(days[1], run, again=True)
    result = learn_second(days, run, schedule="constant", dense={"dense_learning_rate": 0.01}, max_steps=2)
    assert result.step == FIRST + 2


def test_first_evaluation_is_that_of_the_model_before_it_learns(days, first, second):
    run, result = second
    found = evaluate(
        EvaluateConfig(run=f"{first}:{FIRST}", data=days[1], split="train", calibrate=False, baseline=False),
        NoProgress(),
    )
    expected = json.loads(json.dumps(metrics_to_mapping(found.tasks)))
    (progressive,) = json.loads((run / "progressive.json").read_text())["data_sets"]
    assert progressive["metrics"] == expected
    assert (progressive["data"], progressive["first_step"]) == (str(days[1]), FIRST)
    assert result.data_sets[1].first == expected
    assert result.data_sets[0].first is None


def test_a_run_that_has_learned_nothing_is_not_evaluated_first(days, tmp_path):
    messages = Messages()
    learn(days[0], tmp_path / "run", messages, input={"epochs": 1}, evaluation={"eval_first": True}, max_steps=1)
    assert "Not evaluated first: the run has learned nothing yet." in messages.texts
    assert not (tmp_path / "run/progressive.json").exists()


def test_after_early_stopping_it_goes_on_from_the_best_checkpoint(days, tmp_path):
    run = tmp_path / "run"
    stopping: dict[str, Any] = {
        "evaluation": {"early_stopping": 2, "early_stopping_metric": "ctr.log_loss", "eval_every_steps": 2},
        "schedule": "constant", "dense": {"dense_learning_rate": 0.05},
        "checkpoint": {"checkpoint_every_steps": 5, "keep_checkpoints": 1},
    }  # fmt: skip
    ended = learn(days[0], run, input={"epochs": 9}, **stopping)
    assert ended.best is not None
    assert ended.best.step < ended.step < ended.total_steps
    best = open_checkpoint(Folder.open(run), ended.best.step)
    kept = tmp_path / "kept"
    shutil.copytree(run, kept)
    result = learn(days[1], run, input={"epochs": 9}, **CONTINUE, **stopping)
    now = result.data_sets[1]
    assert (now.first_step, now.from_step) == (ended.step, best.manifest.step)
    assert result.best is not None
    assert result.best.step > ended.step  # of this data set, whatever the one before had reached
    assert (read_progress(Folder.open(run)).done, read_progress(Folder.open(run)).total_steps) == (True, result.step)
    pieces = [learn(days[1], kept, input={"epochs": 9}, max_steps=n, **CONTINUE, **stopping) for n in (1, None)]
    assert pieces[-1].best == result.best
    assert (kept / "train_log.jsonl").read_text() == (run / "train_log.jsonl").read_text()
    begun = open_checkpoint(Folder.open(run), result.best.step).manifest
    assert begun.state["data_sets"][1]["from_step"] == best.manifest.step


def test_a_run_from_before_there_was_a_list_goes_on(days, run, second):
    """Its one data set is that of its settings; the list begins with it."""
    for step in checkpoint_steps(Folder.open(run)):
        path = checkpoint_folder(Folder.open(run), step).local_path / "manifest.json"
        manifest = json.loads(path.read_text())
        del manifest["state"]["data_sets"], manifest["crc32c"]
        path.write_text(json.dumps({**manifest, "crc32c": mapping_crc32c(manifest)}, indent=1) + "\n")
    (run / "data_sets.json").unlink()
    with pytest.raises(ConfigError, match="is not the data set that"):
        learn(days[2], run)
    learn_second(days, run)
    found, expected = contents(run), contents(second[0])
    for each in (found, expected):
        for record in each["data_sets"]:
            record.pop("chosen")
        each.pop("data_sets.json")
    assert found == expected


def test_where_the_checkpoint_before_is_damaged_its_data_set_comes_first(days, second, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(second[0], run)
    for step in (10, 15, 20, 22):
        shutil.rmtree(run / f"checkpoints/step-{step:08d}")
    (run / f"checkpoints/step-{FIRST:08d}/dense.npz").write_bytes(b"damaged")
    with pytest.raises(ConfigError, match="newest checkpoint that is not damaged is of step 5, while it learned from"):
        learn_second(days, run)
    assert learn(days[0], run, input={"epochs": 1}).step == FIRST
    assert learn_second(days, run).step == LAST
    assert contents(run)["metrics"][-1] == contents(second[0])["metrics"][-1]


def test_settings_that_were_chosen_follow_the_data_set_and_given_ones_stay(days, tmp_path):
    run = str(tmp_path / "run")
    line = [
        "train",
        "--run",
        run,
        "--embedding-dim",
        "4",
        "--no-baseline",
        "--max-steps",
        "3",
        "--log-every-steps",
        "3",
    ]
    run_line([*line, "--data", str(days[0]), "--eval-every-steps", "2"])
    first = settings_of(run)
    assert (first["evaluation"]["eval_split"], first["evaluation"]["calibrate"]) == ("validation", "platt")
    assert (first["input"]["epochs"], first["max_steps"]) == (3, 3)
    # The third data set has no validation split: a chosen one would be refused
    run_line(["train", "--run", run, "--data", str(days[2]), "--continue", "--eval-first"])
    now = settings_of(run)
    assert (now["evaluation"]["eval_split"], now["evaluation"]["calibrate"]) == ("test", "none")
    assert (now["evaluation"]["eval_every_steps"], now["log_every_steps"], now["max_steps"]) == (2, 3, None)
    assert now["input"]["global_batch_records"] == first["input"]["global_batch_records"]
    assert (now["embedding"], now["model"], now["dense"]) == (first["embedding"], first["model"], first["dense"])
    assert (now["continue"], now["again"], now["evaluation"]["eval_first"]) == (False, False, True)
    records = read_data_sets(Folder.open(run))
    assert "evaluation.eval_every_steps" not in records[0].chosen
    assert {"input.epochs", "cooldown", "evaluation.calibrate"} <= set(records[1].chosen)
    # One that is given stays for the next data set, too
    run_line(["train", "--run", run, "--data", str(days[1]), "--continue", "--epochs", "2", "--calibrate", "none"])
    assert settings_of(run)["evaluation"]["eval_split"] == "validation"
    run_line(["train", "--run", run, "--data", str(days[0]), "--continue", "--again", "--max-steps", "1"])
    assert (settings_of(run)["input"]["epochs"], settings_of(run)["evaluation"]["calibrate"]) == (2, "none")


def settings_of(run: str) -> dict[str, Any]:
    newest = checkpoint_steps(Folder.open(run))[0]
    return read_checkpoint_manifest(checkpoint_folder(Folder.open(run), newest)).settings


def test_status_counts_the_steps_of_all_data_sets(second):
    progress = read_progress(Folder.open(second[0]))
    assert (progress.done, progress.step, progress.total_steps) == (True, LAST, LAST)
    lines = run_line(["status", str(second[0])]).lines
    assert [line.partition(":")[0] for line in lines[-2:]] == ["data set 1", "data set 2"]
    listed = run_line(["checkpoints", str(second[0])])
    assert [each["data_set"] for each in listed.result["checkpoints"]] == [1, 1, 2, 2, 2, 2]
    shown = run_line(["checkpoints", str(second[0]), "--show", str(LAST)]).lines
    assert sum(line.startswith("data set") for line in shown) == 2


def test_the_record_says_where_it_began(second):
    first_record, now = read_data_sets(Folder.open(second[0]))
    assert isinstance(first_record, DataSetRecord)
    assert (first_record.first_step, first_record.last_step, first_record.finished) == (0, FIRST, True)
    assert (now.first_step, now.last_step, now.from_step, now.finished) == (FIRST, LAST, FIRST, True)


def test_a_first_data_set_that_was_killed_before_a_checkpoint_keeps_what_was_chosen_for_it(days, tmp_path):
    """A second choice would take the rates that were chosen for given, and the cool-down of a large log with them."""
    line = ["train", "--data", str(days[0]), "--run", str(tmp_path / "run"), "--continue", "--hidden-units", "6"]
    run_line(line)
    expected = [(tmp_path / "run" / name).read_bytes() for name in ("config.yaml", "train_log.jsonl", "data_sets.json")]
    shutil.rmtree(tmp_path / "run/checkpoints")  # as if it had been killed between its first step and a checkpoint
    run_line(line)
    found = [(tmp_path / "run" / name).read_bytes() for name in ("config.yaml", "train_log.jsonl", "data_sets.json")]
    assert found == expected


def test_what_was_chosen_stays_for_the_data_set_that_was_begun_and_no_other(days, tmp_path):
    run = tmp_path / "run"
    train(build(TrainConfig, {"data": days[0], "run": str(run), "continue": True}, where="test"), NoProgress())
    begun, next_one, again = (
        resumed_settings(run, continues=True, **given)
        for given in ({"data": days[0]}, {"data": days[1]}, {"data": days[0], "again": True})
    )
    assert begun is not None
    assert begun["cooldown"] == 0.65
    for other in (next_one, again):
        assert other is not None
        assert "cooldown" not in other
        assert other["embedding"] == begun["embedding"]
