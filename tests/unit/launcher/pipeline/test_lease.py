"""The lease of a pipeline in a store: one process at a time, and a dead one does not hold it for long."""

import json
import os
import socket
import threading
import time

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from launcher.pipeline import lease as lease_module
from launcher.pipeline.lease import LEASE_NAME, leased
from tests.unit.launcher.commands.played_context import Messages


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(lease_module, "_SETTLE_S", 0.05)


@pytest.fixture
def folder(tmp_path):
    """A folder; a lease needs nothing of a store that a disk has not."""
    found = Folder.open(tmp_path)
    found.make()
    return found


def write(folder: Folder, **content: object) -> None:
    folder.write_bytes(LEASE_NAME, json.dumps(content).encode())


def test_the_lease_is_gone_at_the_end(folder):
    with leased(folder, NoProgress()) as lease:
        assert folder.names() == [LEASE_NAME]
        lease.check()
    assert folder.names() == []


def test_a_second_pipeline_is_refused_while_the_first_renews(folder, monkeypatch):
    monkeypatch.setattr(lease_module, "_is_dead", lambda lease: False)
    with (
        leased(folder, NoProgress(), renew_s=0.05),
        pytest.raises(ConfigError, match=rf"Another esmm pipeline works on .*, on {socket.gethostname()} \(process "),
        leased(folder, NoProgress(), wait_s=5),
    ):
        raise AssertionError("two at once")


def test_a_lease_that_nobody_renews_is_taken(folder):
    write(folder, holder="somebody", host="elsewhere", pid=1, started="1", renewed=7)
    progress, begun = Messages(), time.monotonic()
    with leased(folder, progress, wait_s=0.3) as lease:
        assert time.monotonic() - begun >= 0.3
        lease.check()
    assert "elsewhere was working on" in progress.texts[0]


def test_a_lease_of_a_process_of_this_machine_that_has_ended_is_taken_at_once(folder):
    write(folder, holder="somebody", host=socket.gethostname(), pid=os.getpid(), started="1", renewed=7)
    progress = Messages()
    with leased(folder, progress):
        pass
    assert progress.texts == []


def test_a_damaged_lease_is_waited_for_and_taken(folder):
    folder.write_bytes(LEASE_NAME, b"{")
    with leased(folder, NoProgress(), wait_s=0.1) as lease:
        lease.check()


def test_a_lease_that_is_given_back_meanwhile_is_taken(folder):
    write(folder, holder="somebody", host="elsewhere", pid=1, started="1", renewed=7)
    threading.Timer(0.1, lambda: folder.delete_file(LEASE_NAME)).start()
    with leased(folder, NoProgress(), wait_s=60) as lease:
        lease.check()


def test_who_was_halted_finds_that_another_has_taken_over(folder):
    with leased(folder, NoProgress(), renew_s=60) as lease:
        write(folder, holder="another", host="elsewhere", pid=1, started="1", renewed=1)
        with pytest.raises(ConfigError, match="Another esmm pipeline has taken over .*Leave the work to it"):
            lease.check()
    assert folder.names() == [LEASE_NAME]  # the other's stays
