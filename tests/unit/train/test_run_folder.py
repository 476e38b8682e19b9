"""The folder of a run: one training at a time, and a log that survives a kill."""

import itertools
import json
from collections.abc import Callable
from contextlib import suppress

import pytest

from esmm_dist.errors import ConfigError, StorageError
from esmm_dist.storage.folder import Folder
from esmm_dist.train.run_folder import RunFolder, locked_run
from tests.support.s3_server import S3Server

_numbers = itertools.count()


def test_a_second_training_in_one_folder_is_refused_until_the_first_ends(tmp_path):
    run = tmp_path / "a/run"
    message = f"Another process is training in {run}. Wait for it, or give another"
    with locked_run(run), pytest.raises(ConfigError, match=message), locked_run(run):
        pass
    with locked_run(run):
        assert run.is_dir()


@pytest.mark.parametrize("run", ["file", "file/run"])
def test_a_run_that_is_a_file_is_refused(tmp_path, run):
    (tmp_path / "file").write_text("")
    message = f"run is {tmp_path / run}, which is not a folder"
    with pytest.raises(ConfigError, match=message), locked_run(tmp_path / run):
        pass


def test_a_run_in_a_bucket_that_is_missing_is_refused(s3):
    with pytest.raises(StorageError, match="s3://no-bucket/run cannot be made"), locked_run(s3.uri("no-bucket/run")):
        pass


def test_the_log_of_a_killed_run_is_cut_at_its_checkpoint(location):
    with locked_run(location) as run:
        assert run.read_log(10) == []
        run.write_log([{"step": 5}])
        for step in (10, 15):
            run.append("train_log.jsonl", {"step": step})
    text = run.folder.read_bytes("train_log.jsonl")
    run.folder.write_bytes("train_log.jsonl", text + b'{"step": 2')  # killed in the middle of a line
    with locked_run(location) as run:
        assert run.read_log(10) == [{"step": 5}, {"step": 10}]
        run.write_log(run.read_log(10))
        run.append("train_log.jsonl", {"step": 12})
    assert run.folder.read_bytes("train_log.jsonl") == b'{"step": 5}\n{"step": 10}\n{"step": 12}\n'


def test_a_file_that_grows_goes_on_in_the_next_process(location):
    with locked_run(location) as run:
        assert run.go_on_with("speed.jsonl") == b""
        run.append("speed.jsonl", {"step": 1})
    here = Folder.open(location)
    here.write_bytes("speed.jsonl", here.read_bytes("speed.jsonl") + b'{"st')  # half a line of a killed process
    with locked_run(location) as run:
        assert run.go_on_with("speed.jsonl") == b'{"step": 1}\n{"st'
        run.append("speed.jsonl", {"step": 2})
        assert run.go_on_with("speed.jsonl") == here.read_bytes("speed.jsonl")  # what is here is not overwritten
        run.append("speed.jsonl", {"step": 3})
    assert here.read_bytes("speed.jsonl") == b'{"step": 1}\n{"st\n{"step": 2}\n{"step": 3}\n'


def test_metrics_hold_the_newest_evaluation_first(location):
    with locked_run(location) as run:
        run.write_metrics([{"step": 1}, {"step": 2}])
        found = json.loads(run.folder.read_bytes("metrics.json"))
        assert found == {"newest": {"step": 2}, "evaluations": [{"step": 1}, {"step": 2}]}
        run.write_metrics([])
    assert json.loads(run.folder.read_bytes("metrics.json"))["newest"] == {}
    assert [name for name in run.folder.names() if name != ".lock"] == ["metrics.json"]


def test_what_grows_reaches_the_run_when_it_is_published_and_at_the_end(location):
    with locked_run(location) as run:
        run.write_log([{"step": 1}])
        run.tensorboard.mkdir()
        events = run.tensorboard / "events.1"
        events.write_bytes(b"one")
        run.publish()
        here = Folder.open(location)
        assert here.read_bytes("train_log.jsonl") == b'{"step": 1}\n'
        assert (here / "tensorboard").read_bytes("events.1") == b"one"
        run.append("train_log.jsonl", {"step": 2})
        with events.open("ab") as file:
            file.write(b" two")
    assert here.read_bytes("train_log.jsonl") == b'{"step": 1}\n{"step": 2}\n'
    assert (here / "tensorboard").read_bytes("events.1") == b"one two"


def test_event_files_of_an_earlier_process_stay(location):
    for name in ("events.1", "events.2"):
        with locked_run(location) as run:
            run.tensorboard.mkdir(exist_ok=True)
            (run.tensorboard / name).write_bytes(b"x")
    assert (run.folder / "tensorboard").names() == ["events.1", "events.2"]


def test_files_that_have_not_grown_are_not_copied_again(s3):
    with locked_run(s3.uri("bucket/once")) as run:
        run.write_log([{"step": 1}])
        run.publish()
        run.folder.delete_file("train_log.jsonl")
        run.publish()
        assert not run.folder.has("train_log.jsonl")


def fail_in(location: str, before: Callable[[], None] = lambda: None) -> Folder:
    """Write a log in a run and fail; return the run's folder."""
    with suppress(KeyError), locked_run(location) as run:
        run.write_log([{"step": 1}])
        before()
        raise KeyError("mine")
    return run.folder


def test_a_failed_training_publishes_what_it_has(s3):
    assert fail_in(s3.uri("bucket/failed")).has("train_log.jsonl")


def test_the_error_of_a_training_is_told_before_that_of_publishing():
    with S3Server() as server:
        server.make_bucket("bucket")
        fail_in(server.uri("bucket/run"), before=server.close)  # a StorageError would not be held back


def test_the_folder_of_this_machine_goes_with_the_run(s3):
    run = RunFolder(s3.uri("bucket/closed"))
    staging = run.tensorboard.parent
    assert staging.is_dir()
    run.close()
    run.close()
    assert not staging.exists()


def test_training_in_the_folder_of_a_data_set_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"is no run: its manifest\.json is that of a data set"), locked_run(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
