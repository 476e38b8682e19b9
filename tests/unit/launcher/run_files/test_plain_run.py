"""The state of a training that has no driver, from the files of its run."""

import fcntl
import json
import shutil
from pathlib import Path

import pytest

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from launcher.cli import main, run_line
from launcher.jobs.find import is_local
from launcher.jobs.local_run import LocalRun
from launcher.run_files.plain_run import PlainProgress
from launcher.terminal.wait import Wait
from tests.support.tiny_dataset import tiny_groups, write_dataset

STEPS = 10  # 160 records, 16 a batch


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    write_dataset(folder / "data", {"train": tiny_groups(160), "test": tiny_groups(30, seed=2)})
    settings = {
        "data": folder / "data",
        "run": str(folder / "runs/a"),
        "log_every_steps": 2,
        "input": {"global_batch_records": 16, "epochs": 1},
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [4]},
        "checkpoint": {"checkpoint_every_steps": 4},
    }
    result = train(build(TrainConfig, settings, where="test"), NoProgress())
    return folder, result


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(trained[0] / "runs", tmp_path / "runs")) / "a"


def told(run: Path) -> tuple[str, PlainProgress]:
    status = LocalRun(str(run)).status()
    assert status.run is None
    assert status.progress is not None
    return status.state, status.progress


def test_a_training_that_is_complete_is_done_and_tells_its_step_losses_and_auc(trained, run):
    state, progress = told(run)
    assert (state, progress.step, progress.total_steps) == ("done", STEPS, STEPS)
    assert (progress.checkpoint_step, set(progress.losses)) == (STEPS, {"ctr_loss", "ctcvr_loss"})
    auc, error = progress.evaluation["auc"]["ctr"]
    metrics = trained[1].metrics["ctr"]
    assert (auc, error, progress.evaluation["step"]) == (metrics.auc, metrics.auc_standard_error, STEPS)


def test_a_training_whose_last_step_is_not_saved_is_stopped(run):
    shutil.rmtree(run / f"checkpoints/step-{STEPS:08d}")
    state, progress = told(run)
    assert (state, progress.checkpoint_step, progress.step) == ("stopped", 8, STEPS)


def test_a_training_that_holds_its_lock_is_running(run):
    with (run / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert LocalRun(str(run)).status().state == "running"
    assert LocalRun(str(run)).status().state == "done"


def test_half_a_line_of_the_log_is_left_out(run):
    (run / "metrics.json").unlink()
    shutil.rmtree(run / "checkpoints")
    log = run / "train_log.jsonl"
    lines = log.read_text().splitlines()
    log.write_text(lines[0] + '\n{"step": 9, "ctr')
    _, progress = told(run)
    assert progress.step == json.loads(lines[0])["step"] == 2
    assert (progress.evaluation, progress.checkpoint_step) == ({}, None)


def test_where_the_data_set_is_gone_the_number_of_steps_is_unknown_and_the_rest_is_told(trained, run, capsys):
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace(str(trained[0] / "data"), str(run / "gone")))
    assert main(["status", str(run)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:3] == [f"{run}: stopped (not elastic)", f"step {STEPS}", f"last checkpoint: step {STEPS}"]
    assert out[3].startswith("losses: ctr_loss 0.")
    assert out[4].startswith(f"AUC on test at step {STEPS}: ctr ")


def test_a_training_before_its_first_step_has_no_settings_yet_and_is_known(run):
    (run / "config.yaml").unlink()
    for name in ("metrics.json", "checkpoints"):
        (run / name).unlink() if name.endswith("json") else shutil.rmtree(run / name)
    (run / "train_log.jsonl").write_text("")
    state, progress = told(run)
    assert (state, progress.step, progress.total_steps) == ("stopped", 0, None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.yaml", "data: d\ninput: {global_batch_records: many, epochs: 1}\n"),  # edited by hand
        ("config.yaml", "data: d\ninput: {global_batch_records: 0, epochs: 1}\n"),
        ("config.yaml", "input: 3\n"),
        ("metrics.json", '{"newest": {"step": 1, "split": "test", "metrics": []}}'),
        ("metrics.json", '{"newest": {"step": 1, "split": "test", "metrics": {"ctr": {"auc": "x"}}}}'),
        ("metrics.json", '{"newest": {"step": Infinity, "split": "test", "metrics": {}}}'),
        ("train_log.jsonl", '{"step": NaN, "ctr_loss": 0.5}\n'),
        ("train_log.jsonl", '{"step": Infinity}\n[1]\n{"step": 4, "ctr_loss": null}\n'),
    ],
)
def test_what_a_file_does_not_tell_is_left_out_and_the_rest_is_told(trained, run, capsys, monkeypatch, name, text):
    (run / name).write_text(text.replace("data: d", f"data: {trained[0] / 'data'}"))
    assert main(["status", str(run)]) == 0
    assert f"last checkpoint: step {STEPS}" in capsys.readouterr().out
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    monkeypatch.chdir(run.parent)
    assert main(["jobs", "--json"]) == 0
    assert [row["job"] for row in json.loads(capsys.readouterr().out)["jobs"]] == ["./a"]


def test_jobs_leaves_out_a_run_that_it_may_not_open(run, capsys, monkeypatch):
    shutil.copytree(run, run.parent / "b")
    (run.parent / "b/.local.lock").mkdir()  # refused to root too
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    monkeypatch.chdir(run.parent)
    assert main(["jobs", "--json"]) == 0
    assert [row["job"] for row in json.loads(capsys.readouterr().out)["jobs"]] == ["./a"]


def test_a_run_that_esmm_train_goes_on_with_is_neither_resumed_nor_said_to_be_at_rest(run, capsys):
    (run / "local.json").write_text('{"command": ["local"], "folder": "/", "pid": 1, "host": "h", "started_at": 1}\n')
    with (run / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["cancel", str(run)]) == 2
        assert "is trained by esmm train without esmm local" in capsys.readouterr().err
        assert main(["resume", str(run)]) == 2
        assert "is running already" in capsys.readouterr().err
    assert main(["cancel", str(run)]) == 2
    assert "is not running" in capsys.readouterr().err


def test_jobs_lists_it_and_a_word_names_it(run, capsys, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    monkeypatch.chdir(run.parent.parent)
    assert main(["jobs", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)["jobs"]
    found = {name: row[name] for name in ("job", "where", "task", "state", "step", "total_steps")}
    assert found == {
        **{"job": "./runs/a", "where": "local", "task": "train", "state": "done"},
        **{"step": STEPS, "total_steps": STEPS},
    }
    monkeypatch.chdir(run.parent)
    assert is_local("a", None)


def test_a_record_without_a_command_is_damaged(run):
    (run / "local.json").write_text('{"command": [], "folder": "/", "pid": 1, "host": "h", "started_at": 1}\n')
    with pytest.raises(ConfigError, match=r"local\.json: .*command is \[\], which does not begin with local"):
        LocalRun(str(run)).resume(Wait(timeout_s=0, progress=NoProgress()), run_line)
