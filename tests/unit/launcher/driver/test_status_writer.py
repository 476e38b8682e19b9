"""When heartbeat, status and events are written. Seconds are the test's own."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from esmm_dist.errors import StorageError
from esmm_dist.progress import NoProgress
from esmm_dist.storage.folder import Folder
from launcher.driver import status_writer as module
from launcher.driver.heartbeat import Heartbeat, read_heartbeat
from launcher.driver.status_writer import WRITE_REMOTE_S, WRITE_S, StatusWriter
from launcher.run_files.run_status import RunStatus, read_status


class Observed:
    """A run that counts how often it was looked at."""

    def __init__(self) -> None:
        self.updates = 0

    def update(self) -> None:
        self.updates += 1

    def status(self) -> RunStatus:
        return RunStatus(run="r", state="running", written_at=1.0, started_at=1.0, driver_pid=1, step=self.updates)

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(state=f"running {self.updates}")


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


class Setting:
    def __init__(self, run: Any, heartbeat_file: Path | None = None) -> None:
        self.observed, self.messages, self.published = Observed(), Messages(), 0
        journal: Any = SimpleNamespace(publish=self._publish)
        observed: Any = self.observed
        self.writer = StatusWriter(run, observed, journal, heartbeat_file, self.messages)

    def _publish(self) -> None:
        self.published += 1


def test_the_status_is_written_twice_a_second_on_a_disk_and_the_events_with_it(tmp_path):
    setting = Setting(Folder.open(tmp_path))
    for now, step in ((1000.0, 1), (1000.0 + WRITE_S - 0.1, 1), (1000.0 + WRITE_S, 3)):
        setting.writer.write_due(now)
        assert read_status(Folder.open(tmp_path)).step == step
    assert (setting.observed.updates, setting.published) == (3, 2)


def test_the_status_is_written_every_five_seconds_in_a_store_and_the_heartbeat_each_time(tmp_path, monkeypatch):
    written: list[int] = []
    monkeypatch.setattr(module, "write_status", lambda run, status: written.append(status.step))
    setting = Setting(SimpleNamespace(is_local=False), tmp_path / "driver.json")
    for now in (1000.0, 1000.5, 1000.0 + WRITE_REMOTE_S):
        setting.writer.write_due(now)
        assert read_heartbeat(tmp_path / "driver.json") == Heartbeat(state=f"running {setting.observed.updates}")
    assert written == [1, 3]


def test_a_storage_that_refuses_is_told_and_harms_nothing_else(tmp_path, monkeypatch):
    def refuse(run: object, status: object) -> None:
        raise StorageError("the disk is full.")

    monkeypatch.setattr(module, "write_status", refuse)
    setting = Setting(Folder.open(tmp_path), tmp_path / "driver.json")
    setting.writer.write_due(1000.0)
    assert setting.messages.texts == ["The status cannot be written: the disk is full."]
    assert setting.published == 1
    assert (tmp_path / "driver.json").exists()


@pytest.mark.parametrize("has_started", [True, False])
def test_the_thread_ends_when_it_is_closed(tmp_path, monkeypatch, has_started):
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.001)
    setting = Setting(Folder.open(tmp_path), tmp_path / "driver.json")
    if not has_started:
        return
    setting.writer.start()
    while not (tmp_path / "driver.json").exists():
        pass
    setting.writer.close()
    updates = setting.observed.updates
    assert not setting.writer._thread.is_alive()
    assert setting.observed.updates == updates
