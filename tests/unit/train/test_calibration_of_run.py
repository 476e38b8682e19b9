"""A training fits its calibration where it has evaluated the whole split, and its checkpoints keep it."""

import json
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.calibration.calibration import Calibration
from esmm_dist.calibration.curves import IsotonicCurve, PlattScaling
from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.checkpoint.format import MANIFEST_NAME, checkpoint_folder, read_checkpoint_manifest
from esmm_dist.config import build
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.errors import CheckpointError
from esmm_dist.progress import NoProgress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.schema.checksum import mapping_crc32c
from esmm_dist.storage.folder import Folder
from esmm_dist.train.compiled_model import compile_model
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.context import make_context
from esmm_dist.train.restore import restore_run
from esmm_dist.train.run import train
from esmm_dist.train.run_folder import RunFolder
from esmm_dist.train.train_state import TrainState
from launcher import cli
from tests.support.tiny_dataset import tiny_groups, tiny_schema, write_dataset

VALIDATION = tiny_groups(300, seed=3, first_sample=9000)
STEPS = 20


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("data")
    splits = {"train": tiny_groups(160), "validation": VALIDATION, "test": tiny_groups(30, seed=2, first_sample=5000)}
    write_dataset(folder, splits)
    return folder


def config_of(data: Path, run: Path, **evaluation: Any) -> TrainConfig:
    settings = {
        "data": data,
        "run": str(run),
        "input": {"global_batch_records": 16, "epochs": 2},
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [8]},
        "evaluation": {"baseline": False, "eval_every_steps": 10, "eval_split": "validation", **evaluation},
        "checkpoint": {"checkpoint_every_steps": 5, "keep_checkpoints": 9},
    }
    return build(TrainConfig, settings, where="test")


def trained(data: Path, run: Path, progress: NoProgress | None = None, **evaluation: Any) -> None:
    train(config_of(data, run, **evaluation), progress or NoProgress())


def calibrations(run: Path) -> dict[int, Calibration | None]:
    folder = Folder.open(run)
    return {step: read_checkpoint_manifest(checkpoint_folder(folder, step)).calibration for step in (5, 10, 15, STEPS)}


@pytest.mark.parametrize(("method", "kind"), [("platt", PlattScaling), ("isotonic", IsotonicCurve)])
def test_a_checkpoint_has_the_calibration_of_its_own_step_or_none(data, tmp_path, method, kind):
    progress = Messages()
    trained(data, tmp_path / "run", progress, calibrate=method)
    found = calibrations(tmp_path / "run")
    assert {step: each.step for step, each in found.items() if each is not None} == {10: 10, 20: 20}
    last = found[STEPS]
    assert last is not None
    assert (last.split, last.method) == ("validation", method)
    impressions = [i for group in VALIDATION for i in group.impressions]
    clicks, conversions = (sum(i.labels[k] for i in impressions) for k in range(2))
    assert [(each.impressions, each.positives) for each in last.labels] == [
        (len(impressions), clicks),
        (clicks, conversions),
    ]
    assert all(isinstance(each.curve, kind) for each in last.labels)
    at = progress.texts.index(f"Calibrated by {method} on validation at step 20:")
    assert progress.texts[at : at + 3] == last.lines(tiny_schema().label_tree)


def test_part_of_a_split_fits_nothing_and_the_whole_one_at_the_end_does(data, tmp_path):
    trained(data, tmp_path / "run", eval_max_impressions=100)
    found = calibrations(tmp_path / "run")
    assert [step for step, each in found.items() if each is not None] == [STEPS]


def test_the_best_checkpoint_of_early_stopping_has_the_calibration_of_its_step(data, tmp_path):
    run = tmp_path / "run"
    trained(data, run, early_stopping=3, eval_every_steps=4, eval_max_impressions=10)
    checkpoint = CheckpointChoice.parse(str(run)).restore(NoProgress(), lambda taken: None)
    calibration = checkpoint.manifest.calibration
    assert calibration is not None
    assert calibration.step == checkpoint.manifest.step
    assert calibration.labels[0].impressions == sum(len(group.impressions) for group in VALIDATION)


@pytest.mark.parametrize("evaluation", [{"calibrate": "none"}, {"eval_split": "test"}])
def test_without_a_method_no_checkpoint_has_a_calibration(data, tmp_path, evaluation):
    progress = Messages()
    trained(data, tmp_path / "run", progress, **evaluation)
    assert set(calibrations(tmp_path / "run").values()) == {None}
    assert not any("Calibrated" in text for text in progress.texts)


@pytest.mark.parametrize(("method", "said"), [("platt", "platt"), ("none", None)])
def test_the_result_says_whether_its_metrics_are_from_before_a_calibration(data, tmp_path, method, said):
    assert train(config_of(data, tmp_path / "run", calibrate=method), NoProgress()).calibrated_by == said


def test_losses_weights_and_metrics_of_a_training_do_not_change(data, tmp_path):
    contents = []
    for method in ("none", "platt"):
        run = tmp_path / method
        trained(data, run, calibrate=method)
        folder = run / f"checkpoints/step-{STEPS:08d}"
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST_NAME}
        contents.append((files, (run / "train_log.jsonl").read_text(), (run / "metrics.json").read_text()))
    assert contents[0] == contents[1]


def test_a_run_that_resumes_has_the_calibration_of_its_checkpoint(data, tmp_path):
    run = tmp_path / "run"
    trained(data, run)
    config = config_of(data, run)
    context = make_context(config, SoloWorld(), RunFolder(str(run)), NoProgress())
    state = TrainState(compile_model(context.config, context.schema, context.world), 2)
    restore_run(context, EmbeddedStore(context.schema.tables, context.config.embedding, seed=1), state)
    assert state.steps == STEPS
    assert state.calibration_of_step == calibrations(run)[STEPS]
    assert state.calibration_of_step is not None


def test_the_checkpoints_command_shows_it(data, tmp_path, capsys):
    trained(data, tmp_path / "run")
    assert cli.main(["checkpoints", str(tmp_path / "run")]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0][:5] == ["step", "size", "rows", "calibrated", "metrics"]
    of_steps = {row[0]: row[4] for row in rows if row[0].isdecimal()}
    assert of_steps == {"5": "-", "10": "platt", "15": "-", "20": "platt"}
    assert cli.main(["checkpoints", str(tmp_path / "run"), "--show", str(STEPS)]) == 0
    shown = capsys.readouterr().out.splitlines()
    last = calibrations(tmp_path / "run")[STEPS]
    assert last is not None
    at = shown.index(last.lines(tiny_schema().label_tree)[0])
    assert shown[at : at + 3] == last.lines(tiny_schema().label_tree)


def test_a_manifest_from_before_there_was_a_calibration_has_none_and_a_damaged_one_is_named(data, tmp_path):
    trained(data, tmp_path / "run")
    folder = checkpoint_folder(Folder.open(tmp_path / "run"), STEPS)
    mapping = json.loads(folder.read_bytes(MANIFEST_NAME))
    del mapping["crc32c"]

    def write(changed: dict[str, Any]) -> None:
        folder.write_bytes(MANIFEST_NAME, json.dumps({**changed, "crc32c": mapping_crc32c(changed)}).encode())

    without = {name: value for name, value in mapping.items() if name != "calibration"}
    del without["state"]["keep_negatives"]
    write(without)
    assert read_checkpoint_manifest(folder).calibration is None
    mapping["calibration"]["labels"][0]["curve"]["slope"] = -1.0
    write(mapping)
    with pytest.raises(CheckpointError, match=r"manifest.json: .*slope is -1.0; it is above 0"):
        read_checkpoint_manifest(folder)


def test_a_finished_run_that_is_asked_for_another_calibration_fits_it(data, tmp_path):
    run = tmp_path / "run"
    trained(data, run, calibrate="platt")
    before = calibrations(run)[STEPS]
    for method in ("isotonic", "none", "platt"):
        trained(data, run, calibrate=method)
        found = calibrations(run)[STEPS]
        assert (found.method if found is not None else "none") == method
    assert calibrations(run)[STEPS] == before


def test_early_stopping_by_the_test_split_is_warned_of(data, tmp_path):
    for split, warned in (("validation", False), ("test", True)):
        progress = Messages()
        trained(data, tmp_path / split, progress, early_stopping=1, eval_split=split, eval_every_steps=20)
        assert any("early stopping by the test split" in text for text in progress.texts) == warned
