"""A run that starts from the weights of another."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from esmm_dist.checkpoint.format import checkpoint_folder, checkpoint_steps
from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.config import build
from esmm_dist.embedding.table_files import read_rows
from esmm_dist.embedding.table_rows import TableRows
from esmm_dist.errors import CheckpointError, CheckpointMismatchError
from esmm_dist.progress import NoProgress
from esmm_dist.schema.fields import Field
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from esmm_dist.train.trainer import Trainer
from tests.support.tiny_dataset import Group, tiny_groups, tiny_schema, write_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, {"train": tiny_groups(160)})
    return folder


def config_of(data: Path, run: Path, **changes: Any) -> TrainConfig:
    settings = {
        "data": data,
        "run": str(run),
        "input": {"global_batch_records": 16, "epochs": 1},
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [8]},
        "checkpoint": {"checkpoint_every_steps": 4},
    }
    return build(TrainConfig, {**settings, **changes}, where="test")


@pytest.fixture(scope="module")
def other(data, tmp_path_factory):
    """The run to start from: checkpoints of steps 4, 8 and 10."""
    run = tmp_path_factory.mktemp("runs") / "other"
    train(config_of(data, run), NoProgress())
    return run


def trainer(data: Path, run: Path, **changes: Any) -> Trainer:
    run.mkdir(exist_ok=True)
    return Trainer(config_of(data, run, seed=7, **changes), NoProgress())


def assert_rows_of(found: Trainer, run: Path, step: int, *, last_steps: bool = False) -> None:
    """Compare the rows with a checkpoint's; last steps are those of the other run only where that is this run."""
    checkpoint = open_checkpoint(Folder.open(run), step)
    (file,) = checkpoint.manifest.tables
    rows = found.store.export("main", 0, 4096)  # type: ignore[attr-defined]
    for name in TableRows.__annotations__:
        if name == "last_step" and not last_steps:
            assert not rows.last_step.any()
            continue
        np.testing.assert_array_equal(getattr(rows, name), getattr(read_rows(checkpoint.folder, file), name))


def dense_of(found: Trainer) -> list[np.ndarray]:
    return [np.array(variable.numpy()) for variable in found._state.compiled.model.variables]


def saved_dense(run: Path, step: int) -> list[np.ndarray]:
    arrays = open_checkpoint(Folder.open(run), step).dense()
    return [arrays[name] for name in sorted(arrays) if name.startswith("model/")]


@pytest.mark.parametrize(("suffix", "step"), [("", 10), (":4", 4)])
def test_all_weights_and_rows_are_taken_and_steps_and_optimizer_begin_anew(data, other, tmp_path, suffix, step):
    found = trainer(data, tmp_path, init_from=f"{other}{suffix}")
    assert_rows_of(found, other, step)
    for variable, saved in zip(dense_of(found), saved_dense(other, step), strict=True):
        np.testing.assert_array_equal(variable, saved)
    assert int(found._state.compiled.optimizer.iterations.numpy()) == 0
    result = found.train()
    assert (result.step, result.impressions > 0) == (10, True)
    assert [json.loads(line)["step"] for line in (tmp_path / "train_log.jsonl").read_text().splitlines()] == [10]


def test_sparse_takes_rows_only_also_for_towers_of_another_shape(data, other, tmp_path):
    changes: dict[str, Any] = {"model": {"hidden_units": [5, 3]}}
    found = trainer(data, tmp_path, init_from=str(other), init_what="sparse", **changes)
    assert_rows_of(found, other, 10)
    fresh = trainer(data, tmp_path / "fresh", **changes)
    for variable, start in zip(dense_of(found), dense_of(fresh), strict=True):
        np.testing.assert_array_equal(variable, start)


def test_a_run_with_a_checkpoint_of_its_own_goes_on_from_that(data, other, tmp_path):
    trainer(data, tmp_path, init_from=f"{other}:4", max_steps=8).train()
    found = trainer(data, tmp_path, init_from=f"{other}:4")
    assert found._step == 8
    assert_rows_of(found, tmp_path, 8, last_steps=True)


def test_what_does_not_fit_is_refused_and_no_older_checkpoint_is_tried(data, other, tmp_path):
    cases: list[tuple[dict[str, Any], str]] = [
        (
            {"model": {"hidden_units": [5]}},
            "step-00000010: Dense variable '.*' has shape.* With other fields or towers, take its rows alone: "
            "--init-what sparse",
        ),
        # Here that remedy would not do: its rows do not fit either
        ({"model": {"hidden_units": [5]}, "embedding": {"embedding_dim": 3}}, "does not fit this run: .* 4 columns"),
        ({"embedding": {"embedding_dim": 4, "embedding_optimizer": "sgd"}}, "embedding_optimizer is sgd but adagrad"),
    ]
    for number, (changes, message) in enumerate(cases):
        with pytest.raises(CheckpointMismatchError, match=message):
            trainer(data, tmp_path / str(number), init_from=str(other), **changes)


def test_a_run_of_one_more_field_takes_the_rows_alone_as_the_refusal_says(other, tmp_path):
    fields = (*tiny_schema().fields, Field(name="brand", owner="item"))
    groups = [
        Group(
            fields=group.fields,
            impressions=[replace(each, fields=[*each.fields, [(5000, 1.0)]]) for each in group.impressions],
        )
        for group in tiny_groups(160)
    ]
    write_dataset(tmp_path / "data", {"train": groups}, schema=tiny_schema(fields=fields))
    with pytest.raises(CheckpointMismatchError, match="With other fields or towers, .*: --init-what sparse"):
        trainer(tmp_path / "data", tmp_path / "all", init_from=str(other))
    found = trainer(tmp_path / "data", tmp_path / "sparse", init_from=str(other), init_what="sparse")
    assert_rows_of(found, other, 10)
    assert found.train().step == 10


def test_a_run_of_other_tables_is_refused(other, tmp_path):
    fields = (*tiny_schema().fields[:3], Field(name="tags", owner="item", multi_hot=True, table="tags"))
    write_dataset(tmp_path / "data", {"train": tiny_groups(16)}, schema=tiny_schema(fields=fields))
    message = "has the tables main, this run's data has main, tags. Give a run of a schema with the same tables"
    with pytest.raises(CheckpointMismatchError, match=message):
        trainer(tmp_path / "data", tmp_path / "run", init_from=str(other))


def test_a_run_or_step_that_is_not_there_is_named(data, other, tmp_path):
    with pytest.raises(
        CheckpointError,
        match=f"{tmp_path}/none holds no checkpoint. Train first: esmm train --data DATA --run {tmp_path}/none",
    ):
        trainer(data, tmp_path / "a", init_from=f"{tmp_path}/none")
    with pytest.raises(CheckpointError, match=f"{other} has no checkpoint of step 5. It has: 4, 8, 10."):
        trainer(data, tmp_path / "b", init_from=f"{other}:5")


def test_a_damaged_newest_checkpoint_of_the_other_run_is_passed_over(data, other, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(other, copy)
    newest = checkpoint_folder(Folder.open(copy), checkpoint_steps(Folder.open(copy))[0])
    (path,) = newest.local_path.glob("*.arrow")
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    assert_rows_of(trainer(data, tmp_path / "run", init_from=str(copy)), other, 8)


def test_weights_that_were_trained_on_another_share_of_negatives_are_warned_of(data, other, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    thinned = replace(read_manifest(data), keep_negatives=0.25)
    (tmp_path / "data" / "manifest.json").write_text(thinned.to_json())
    said: list[str] = []

    class Listening(NoProgress):
        def message(self, text: str) -> None:
            said.append(text)

    progress = Listening()
    train(config_of(data, tmp_path / "same", init_from=str(other), max_steps=1), progress)
    assert not any("of the negatives" in text for text in said)
    train(config_of(tmp_path / "data", tmp_path / "run", init_from=str(other), max_steps=1), progress)
    (warning,) = [text for text in said if "of the negatives" in text]
    assert warning.startswith("Warning: those weights were trained on 1 of the negatives, and this data set has 0.25.")


def test_rows_of_networks_that_share_nothing_go_to_such_networks_alone(data, other, tmp_path):
    message = (
        "2 slices, one for each network, by objective base, but one slice .* by objective esmm. Set share_embeddings"
    )
    with pytest.raises(CheckpointMismatchError, match=f"{message} to true, take a run of the same objective, or leave"):
        trainer(data, tmp_path / "a", init_from=str(other), **model_of(objective="base"))
    said: list[str] = []

    class Listening(NoProgress):
        def message(self, text: str) -> None:
            said.append(text)

    # as the refusal says: BASE from the weights of ESMM, all of them
    shared = model_of(objective="base", share_embeddings=True)
    train(config_of(data, tmp_path / "b", init_from=str(other), max_steps=1, **shared), Listening())
    assert "Those weights were trained by objective esmm, and this training's is base." in said


def test_networks_whose_outputs_mean_something_else_are_refused(data, other, tmp_path):
    shared = model_of(objective="division", share_embeddings=True)
    with pytest.raises(CheckpointMismatchError, match="objective is division but esmm in .*Take the rows alone"):
        trainer(data, tmp_path / "a", init_from=str(other), **shared)
    assert_rows_of(trainer(data, tmp_path / "b", init_from=str(other), init_what="sparse", **shared), other, 10)


def test_columns_that_would_become_weights_of_a_linear_term_are_refused(data, other, tmp_path):
    settings = {"init_from": str(other), "init_what": "sparse"}
    stored = float(open_checkpoint(Folder.open(other), 10).manifest.settings["model"]["linear_scale"])
    model = model_of(linear_scale=0.0 if stored else 3.0)
    with pytest.raises(CheckpointMismatchError, match=f"linear_scale is .* Set linear_scale to {stored:g}, or leave"):
        trainer(data, tmp_path / "a", **settings, **model)


def model_of(**settings: Any) -> dict[str, Any]:
    return {"model": {"hidden_units": [8], **settings}}
