"""The verbs of a run of this machine, one by one: what they wait for, write, and leave."""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError, RetryError
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from launcher.command import Outcome
from launcher.jobs.local_files import KEPT_NAMES, OTHER_NAMES
from launcher.jobs.local_run import LocalRun
from launcher.run_files.run_record import LocalRecord, recorded
from launcher.run_files.run_status import RunStatus, write_status
from launcher.run_files.scale_request import read_scale_request
from launcher.terminal.wait import Wait
from tests.unit.launcher.run_files.statuses import make_status, workers_of
from tests.unit.launcher.waits import Steps, waiting


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir()
    return made


@pytest.fixture
def run(folder: Path) -> LocalRun:
    return LocalRun(str(folder))


@pytest.fixture
def elastic(folder: Path) -> Iterator[RunStatus]:
    """A run that ``esmm local`` trains with 2 of 1 to 4 workers."""
    status = make_status(run=str(folder))
    with recorded(Folder.open(folder), ("local", "--", "train")):
        write_status(Folder.open(folder), status)
        yield status


def not_at_all() -> Wait:
    return waiting(timeout_s=0.0)


def never(line: object) -> Outcome:
    raise AssertionError(f"{line} was run")


def test_scale_leaves_a_request_and_waits_until_the_driver_says_that_so_many_train(folder, run, elastic):
    def train() -> None:
        request = read_scale_request(Folder.open(folder))
        assert request is not None
        assert request.workers == 3
        changes = {"ranks": 3, "wanted_workers": 3, "workers": workers_of(3)}
        write_status(Folder.open(folder), replace(elastic, written_at=elastic.written_at + 1, **changes))

    messages = Messages()
    outcome = run.scale_workers(3, Steps(train).wait(progress=messages))
    assert (outcome.result["workers"], outcome.result["before"]) == (3, 2)
    assert re.fullmatch(r"3 workers train \(before: 2\), after \d\.\d s\.", outcome.lines[0])
    assert messages.texts == ["   0 s: worker-0 training, worker-1 training"]


def test_a_status_from_before_the_request_does_not_tell_that_so_many_train(folder, run, elastic):
    later = replace(elastic, written_at=elastic.written_at + 1)
    steps = Steps(lambda: None, lambda: write_status(Folder.open(folder), later))
    run.scale_workers(2, steps.wait())  # 2 trained before, too
    assert steps.all_done


def test_the_same_number_asked_for_again_is_a_new_request(folder, run, elastic):
    ids = []
    for _ in range(2):
        run.scale_workers(3, not_at_all())
        request = read_scale_request(Folder.open(folder))
        assert request is not None
        ids.append(request.id)
    assert ids[0] != ids[1]


def test_scale_ends_when_the_run_does(folder, run, elastic):
    wait = waiting(lambda: write_status(Folder.open(folder), make_status("done", run=str(folder))))
    with pytest.raises(ConfigError, match=r"run has ended in the meantime \(done\); there is nothing to scale"):
        run.scale_workers(3, wait)


def test_scale_that_comes_to_nothing_says_what_the_workers_do(run, elastic, folder):
    with pytest.raises(RetryError, match=r"waiting until 3 workers train \(worker-0 training, worker-1 training\)"):
        run.scale_workers(3, waiting(timeout_s=0.01))


@pytest.mark.parametrize("count", [0, 5])
def test_a_number_out_of_bounds_is_refused_and_not_asked_for(folder, run, elastic, count):
    with pytest.raises(ConfigError, match=f"workers is {count}, but .* --min-workers 1 --max-workers 4"):
        run.scale_workers(count, not_at_all())
    assert read_scale_request(Folder.open(folder)) is None


def test_a_run_that_is_not_elastic_cannot_be_scaled(folder, run):
    with recorded(Folder.open(folder), ("local",)), pytest.raises(ConfigError, match="it is not an elastic run"):
        run.scale_workers(3, not_at_all())


def test_a_run_whose_status_is_old_does_not_run(folder, run):
    with recorded(Folder.open(folder), ("local",)):  # it hangs: its lock is held
        write_status(Folder.open(folder), make_status(run=str(folder), written_ago_s=16.0))
        with pytest.raises(ConfigError, match="its driver has written nothing for 16 s"):
            run.scale_workers(3, not_at_all())


def test_a_cancel_leaves_a_request_and_waits_until_the_lock_is_free(folder, run):
    with contextlib.ExitStack() as held:
        held.enter_context(recorded(Folder.open(folder), ("local", "--", "train")))
        write_status(Folder.open(folder), make_status(run=str(folder)))

        def stop() -> None:
            assert json.loads((folder / "stop.json").read_text())["id"]
            write_status(Folder.open(folder), make_status("stopped", run=str(folder)))
            held.close()

        messages = Messages()
        outcome = run.cancel(Steps(stop).wait(progress=messages), now=False)
    assert outcome.result["state"] == "stopped"
    assert outcome.lines[0].startswith(f"{folder} is stopped, after ")
    assert messages.texts == ["   0 s: its workers save and end"]


def test_a_cancel_that_nobody_obeys_names_what_else_can_be_done(run, elastic, folder):
    with pytest.raises(RetryError, match=r"waiting until .*run has ended .*esmm cancel .*run --now"):
        run.cancel(waiting(timeout_s=0.01), now=False)


def test_a_run_of_another_machine_is_not_killed(folder, run):
    with recorded(Folder.open(folder), ("local",)):
        record = json.loads((folder / "local.json").read_text())
        (folder / "local.json").write_text(json.dumps({**record, "host": "another"}))
        with pytest.raises(ConfigError, match="is trained by a process of another machine"):
            run.cancel(not_at_all(), now=True)


def test_a_process_that_has_gone_meanwhile_needs_no_kill(folder, run, monkeypatch):
    def gone(pid: int, number: int) -> None:
        assert pid == os.getpid()
        raise ProcessLookupError

    monkeypatch.setattr("launcher.jobs.local_run.os.kill", gone)
    with recorded(Folder.open(folder), ("local",)):
        assert run.cancel(not_at_all(), now=True).result == {"state": "stopping"}


def test_esmm_train_takes_no_requests(folder, run):
    record = LocalRecord(command=("local",), folder="/", pid=1, host="h", started_at=1.0)
    (folder / "local.json").write_text(json.dumps(vars(record)))
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="trained by esmm train without esmm local, which takes no requests"):
            run.cancel(not_at_all(), now=False)
        with pytest.raises(ConfigError, match="Stop it first"):
            run.delete(not_at_all(), keep_data=True)
        with pytest.raises(ConfigError, match="is running already"):
            run.resume(not_at_all(), never)


def test_a_resume_runs_the_recorded_line_in_its_folder(folder, run, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    with recorded(Folder.open(folder), ("local", "--workers", "2", "--", "train", "--data", "d")):
        pass
    monkeypatch.chdir(tmp_path / "elsewhere")
    given: list[object] = []

    def run_line(line: object) -> Outcome:
        given.append((line, Path.cwd().name))
        return Outcome(lines=["Trained."], result={"step": 4}, done=False)

    messages = Messages()
    outcome = run.resume(Wait(timeout_s=0.0, progress=messages), run_line)
    assert given == [(("local", "--workers", "2", "--", "train", "--data", "d"), "there")]
    assert (outcome.lines, outcome.result, outcome.done) == (["Trained."], {"step": 4}, False)
    assert messages.texts == ["esmm local --workers 2 -- train --data d"]
    assert Path.cwd().name == "elsewhere"


def test_a_run_whose_folder_is_gone_is_not_resumed(folder, run):
    with recorded(Folder.open(folder), ("local",)):
        pass
    record = json.loads((folder / "local.json").read_text())
    (folder / "local.json").write_text(json.dumps({**record, "folder": str(folder / "gone")}))
    with pytest.raises(ConfigError, match="was started in .*gone, which no longer exists"):
        run.resume(not_at_all(), never)


def test_a_run_without_a_record_is_resumed_by_hand(run):
    with pytest.raises(ConfigError, match=r"has no local\.json: no esmm local has trained there"):
        run.resume(not_at_all(), never)


@pytest.mark.parametrize("keep_data", [True, False])
def test_a_deletion_removes_what_a_run_has_written_and_leaves_what_others_have(folder, run, keep_data):
    for name in (*KEPT_NAMES, *OTHER_NAMES):
        if name in ("checkpoints", "tensorboard", "logs"):
            (folder / name).mkdir()
            (folder / name / "file").write_text("")
        elif not name.endswith("lock"):
            (folder / name).write_text("{}")
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    (folder / "tensorboard/file").unlink()
    (folder / "tensorboard").rmdir()
    (folder / "tensorboard").symlink_to(outside)
    (folder / "notes.txt").write_text("mine")
    outcome = run.delete(not_at_all(), keep_data=keep_data)
    left = ["checkpoints", "config.yaml", "notes.txt"] if keep_data else ["notes.txt"]
    assert sorted(path.name for path in folder.iterdir()) == left
    assert outcome.result == {"run": str(folder), "kept": left}
    assert (outside / "file").read_text() == "mine"  # a link goes, not what it names


def test_what_tells_that_a_folder_is_a_run_is_removed_last():
    # An interrupted deletion can be made again only while one of them is there
    assert OTHER_NAMES[-2:] == ("status.json", "local.json")


def test_a_run_of_an_object_store_goes_by_its_status(s3):
    uri = s3.uri("bucket/run")
    run, job = Folder.open(uri), LocalRun(uri)
    write_status(run, make_status(run=uri))
    assert (job.status().state, job.status().stale) == ("running", False)
    with pytest.raises(ConfigError, match="is running. Stop it first"):
        job.delete(not_at_all(), keep_data=True)
    assert job.cancel(not_at_all(), now=False).result == {"state": "stopping"}
    with pytest.raises(ConfigError, match="cannot be killed from here"):
        job.cancel(not_at_all(), now=True)
    with pytest.raises(ConfigError, match="has no logs: esmm local keeps them in runs on a local disk only"):
        job.logs(None, follow=False)
    write_status(run, make_status(run=uri, written_ago_s=16.0))
    assert job.status().stale
    assert job.delete(not_at_all(), keep_data=True).lines == ["s3://bucket/run is deleted."]
    assert not run.has("status.json")
    assert not run.has("stop.json")
