"""A run that lives in a store that speaks S3 is the run that a local disk would hold."""

import json

import pytest

from esmm_dist.checkpoint.format import checkpoint_folder, checkpoint_steps, read_checkpoint_manifest
from esmm_dist.config import build
from esmm_dist.errors import StorageError
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from esmm_dist.train.run_history import read_history
from esmm_dist.train.run_speed import read_speed
from launcher.cli import main
from tests.support.s3_server import S3Server
from tests.support.tiny_dataset import tiny_groups, write_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, {"train": tiny_groups(160), "test": tiny_groups(30, seed=2, first_sample=5000)})
    return folder


def config_of(data, run: str, **settings) -> TrainConfig:
    groups = {
        "data": data,
        "run": run,
        "input": {"global_batch_records": 16, "epochs": 1},  # 10 steps
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [8]},
        "checkpoint": {"checkpoint_every_steps": 4},
        "log_every_steps": 2,
        **settings,
    }
    return build(TrainConfig, groups, where="test")


def state_of(run: Folder, step: int) -> dict[str, object]:
    """Return the rows of a step, the log, and the newest evaluation."""
    folder = checkpoint_folder(run, step)
    found = {name: folder.read_bytes(name) for name in folder.names() if name.endswith(".arrow")}
    newest = json.loads(run.read_bytes("metrics.json"))["newest"]
    return {**found, "log": run.read_bytes("train_log.jsonl"), "newest": newest}


def test_a_run_stopped_and_resumed_at_a_uri_equals_a_local_one(s3, data, tmp_path, capsys):
    local, uri = Folder.open(tmp_path / "run"), s3.uri("bucket/run")
    expected = train(config_of(data, str(tmp_path / "run")), NoProgress())
    stopped = train(config_of(data, uri, max_steps=6), NoProgress())
    assert (stopped.step, stopped.run) == (6, uri.replace("akey:asecret@", ""))
    run = Folder.open(uri)
    assert checkpoint_steps(run) == [6, 4]
    # the settings are read back from the run
    assert main(["train", "--run", uri, "--max-steps", "10"]) == 0
    out, err = capsys.readouterr()
    assert "Resuming s3://bucket/run after step 6 of 10." in err
    assert "asecret" not in out + err
    assert checkpoint_steps(run) == [10, 8, 6]
    assert state_of(run, 10) == state_of(local, 10)
    assert [point.step for point in read_speed(run)] == [2, 4, 6, 8, 10]
    told = [(event.event, event.step) for event in read_history(run) if event.event != "checkpoint"]
    ends = [("evaluation", 6), ("done", 6), ("resume", 6), ("evaluation", 10), ("done", 10)]
    assert told == [("start", 0), *ends]
    assert len((run / "tensorboard").names()) == 2  # a process each
    manifest = read_checkpoint_manifest(checkpoint_folder(run, 10))
    assert "asecret" not in json.dumps(manifest.settings) + run.read_bytes("config.yaml").decode()
    metrics = evaluate(EvaluateConfig(run=uri, data=data), NoProgress()).tasks
    assert metrics["ctr"].auc == expected.metrics["ctr"].auc


def test_a_store_that_cannot_be_reached_fails_before_any_step(data):
    with S3Server() as gone:
        uri = gone.uri("bucket/run")
    with pytest.raises(StorageError, match="s3://bucket/run cannot be made: .*Check the address, the credentials"):
        train(config_of(data, uri), NoProgress())
