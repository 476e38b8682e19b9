"""A run on a data set with a validation split: what it is evaluated on, and what its checkpoints say of the data."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from esmm_dist.calibration.logit_transform import keep_negatives_of
from esmm_dist.checkpoint.format import checkpoint_folder, read_checkpoint_manifest
from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.progress import NoProgress
from esmm_dist.schema.manifest import MANIFEST_NAME, DatasetManifest
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from esmm_dist.train.run_settings import read_settings
from tests.support.tiny_dataset import tiny_groups, write_dataset

TRAIN, VALIDATION, TEST = tiny_groups(96), tiny_groups(40, seed=3), tiny_groups(24, seed=2)
NUMBERS = {"validation": sum(len(g.impressions) for g in VALIDATION), "test": sum(len(g.impressions) for g in TEST)}


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


def config(folder: Path, **changes: object) -> TrainConfig:
    settings = {
        "data": folder / "data",
        "run": str(folder / "run"),
        "input": {"global_batch_records": 16, "epochs": 1},
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [8]},
        **changes,
    }
    return build(TrainConfig, settings, where="test")


def with_keep_negatives(data: Path, manifest: DatasetManifest, value: float) -> None:
    (data / MANIFEST_NAME).write_text(replace(manifest, keep_negatives=value).to_json())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("validation")
    manifest = write_dataset(folder / "data", {"train": TRAIN, "validation": VALIDATION, "test": TEST})
    with_keep_negatives(folder / "data", manifest, 0.25)
    train(config(folder), NoProgress())
    return folder


def test_the_run_and_its_baseline_are_evaluated_on_the_validation_split(trained: Path):
    found = json.loads((trained / "run" / "metrics.json").read_text())
    assert (found["newest"]["split"], found["baseline"]["split"]) == ("validation", "validation")
    assert found["newest"]["metrics"]["ctr"]["impressions"] == NUMBERS["validation"]
    assert found["baseline"]["test_impressions"] == NUMBERS["validation"]
    stored = read_settings(trained / "run")
    assert stored is not None
    assert stored["evaluation"]["eval_split"] == "validation"


@pytest.mark.parametrize("split", [None, "validation", "test"])
def test_evaluate_takes_validation_unless_a_split_is_named_and_says_so(trained: Path, split: str | None):
    messages = Messages()
    settings = EvaluateConfig(run=str(trained / "run"), data=trained / "data", split=split, baseline=False)
    found = evaluate(settings, messages)
    assert found.split == found.to_mapping()["split"] == (split or "validation")
    assert found.tasks["ctr"].impressions == NUMBERS[split or "validation"]
    said = [text for text in messages.texts if text.startswith("Evaluating on")]
    assert said == (["Evaluating on the validation split (others: --split test)."] if split is None else [])


def test_evaluate_of_a_data_set_without_validation_takes_test(trained: Path, tmp_path: Path):
    write_dataset(tmp_path / "data", {"test": TEST})
    messages = Messages()
    found = evaluate(EvaluateConfig(run=str(trained / "run"), data=tmp_path / "data", baseline=False), messages)
    assert found.split == "test"
    assert "Evaluating on the test split." in messages.texts


def test_a_run_whose_settings_name_test_goes_on_with_it(tmp_path: Path):
    write_dataset(tmp_path / "data", {"train": TRAIN, "validation": VALIDATION, "test": TEST})
    train(config(tmp_path, max_steps=2, evaluation={"eval_split": "test"}), NoProgress())
    stored = read_settings(tmp_path / "run")
    assert stored is not None
    stored["max_steps"] = 3
    train(build(TrainConfig, stored, where="test"), NoProgress())
    newest = json.loads((tmp_path / "run" / "metrics.json").read_text())["newest"]
    assert (newest["split"], newest["step"]) == ("test", 3)


def test_a_checkpoint_says_with_which_probability_negatives_were_kept(trained: Path, tmp_path: Path):
    manifest = read_checkpoint_manifest(checkpoint_folder(Folder.open(trained / "run"), 6))
    assert keep_negatives_of(manifest.state) == 0.25
    assert keep_negatives_of({}) == 1.0  # from before negatives could be left out


def test_a_run_refuses_a_data_set_with_other_negatives(tmp_path: Path):
    manifest = write_dataset(tmp_path / "data", {"train": TRAIN, "test": TEST})
    train(config(tmp_path, max_steps=2), NoProgress())
    with_keep_negatives(tmp_path / "data", manifest, 0.5)
    with pytest.raises(ConfigError, match=r"data is not the data set that .* was trained on last.*as it was"):
        train(config(tmp_path), NoProgress())
