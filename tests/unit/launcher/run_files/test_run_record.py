"""What ``esmm local`` leaves in its run: the record, the lock, and the file that asks it to stop."""

import contextlib
import json
import os

import pytest

from esmm_dist.errors import ConfigError, GiveUpError, StorageError
from esmm_dist.storage.folder import Folder
from launcher.run_files.run_record import StopRequests, is_held, read_record, recorded, request_stop

LINE = ("local", "--workers", "2", "--", "train", "--data", "d")


@pytest.fixture
def run(tmp_path) -> Folder:
    return Folder.open(tmp_path)


def test_a_record_says_how_where_and_by_which_process_a_run_was_started(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with recorded(run, LINE):
        record = read_record(run)
    assert record is not None
    assert (record.command, record.folder, record.pid) == (LINE, str(tmp_path), os.getpid())
    assert record.of_this_machine


def test_credentials_of_a_uri_are_not_recorded(run):
    with recorded(run, ("local", "--", "--data", "s3://key:secret@bucket/data")):
        record = read_record(run)
    assert record is not None
    assert "secret" not in " ".join(record.command)
    assert record.command[-1] == "s3://bucket/data"


def test_the_lock_is_held_for_the_block_and_the_record_stays(run):
    assert not is_held(run)
    with recorded(run, LINE):
        assert is_held(run)
    assert not is_held(run)
    assert read_record(run) is not None


def test_a_second_training_in_a_run_is_refused_and_leaves_the_record_of_the_first(run):
    with (
        recorded(run, LINE),
        pytest.raises(ConfigError, match=r"Another esmm local trains in .*\. Wait for it, stop it \(esmm cancel"),
        recorded(run, ("local", "another")),
    ):
        pass
    record = read_record(run)
    assert record is not None
    assert record.command == LINE


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (ConfigError("max_steps is 4"), LINE),  # a resume would be refused again
        (GiveUpError("the loss is nan"), ("local", "second")),
        (None, ("local", "second")),
    ],
)
def test_a_line_with_a_wrong_setting_gives_way_to_the_one_before(run, error, kept):
    with recorded(run, LINE):
        pass
    with contextlib.suppress(GiveUpError), recorded(run, ("local", "second")):
        if error is not None:
            raise error
    record = read_record(run)
    assert record is not None
    assert record.command == kept


def test_a_first_line_with_a_wrong_setting_stays(run):
    with pytest.raises(ConfigError), recorded(run, LINE):
        raise ConfigError("max_steps is 4")
    assert read_record(run) is not None


def test_a_run_without_a_record_has_none(run):
    assert read_record(run) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "3", "[]", '{"command": ["train"], "folder": "/", "pid": 1, "host": "h", "started_at": 1}', '{"pid": 1}'],
)
def test_a_damaged_record_says_what_to_do(run, text):
    run.write_bytes("local.json", text.encode())
    with pytest.raises(ConfigError, match=r"local\.json"):
        read_record(run)


def test_a_request_to_stop_is_found_once_it_comes_and_not_one_of_an_earlier_start(run):
    now = [0.0]
    request_stop(run)
    requests = StopRequests(run, clock=lambda: now[0])
    now[0] += 1
    assert not requests.pending()
    request_stop(run)
    assert not requests.pending()  # read a moment ago
    now[0] += 0.5
    assert requests.pending()
    now[0] += 0.5
    assert requests.pending()


def test_a_request_that_is_removed_or_cannot_be_read_is_none(run, monkeypatch):
    now = [0.0]
    request_stop(run)
    requests = StopRequests(run, clock=lambda: now[0])
    run.local_path.joinpath("stop.json").unlink()
    now[0] += 1
    assert not requests.pending()
    request_stop(run)

    def refuse(self: Folder, name: str) -> bytes:
        raise StorageError("away")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "read_bytes", refuse)
        now[0] += 1
        assert not requests.pending()
    now[0] += 1
    assert requests.pending()


def test_each_request_to_stop_is_another(run):
    found = set()
    for _ in range(2):
        request_stop(run)
        found.add(json.loads(run.read_bytes("stop.json"))["id"])
    assert len(found) == 2


def test_a_run_in_an_object_store_is_read_less_often(s3):
    run = Folder.open(s3.uri("bucket/requests"))
    now = [0.0]
    requests = StopRequests(run, clock=lambda: now[0])
    request_stop(run)
    now[0] += 2.9
    assert not requests.pending()
    now[0] += 0.1
    assert requests.pending()
