"""When the settings of a training become those of its run."""

import pytest
import yaml

from esmm_dist.errors import StorageError
from esmm_dist.progress import NoProgress
from esmm_dist.train import settings_writer
from esmm_dist.train.settings_writer import RETRY_S, SettingsWriter


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


class FullDisk:
    """Refuses to write settings until it is emptied."""

    def __init__(self) -> None:
        self.tries, self.full = 0, True

    def __call__(self, *settings) -> None:
        self.tries += 1
        if self.full:
            raise StorageError("the disk is full.")


@pytest.fixture
def disk(monkeypatch):
    full = FullDisk()
    monkeypatch.setattr(settings_writer, "write_settings", full)
    return full


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("esmm_dist.train.settings_writer.time.monotonic", lambda: now[0])
    return now


def test_settings_are_written_once_with_the_reasons_of_what_was_chosen(context_of, tmp_path):
    context = context_of(tmp_path, input={"global_batch_records": 4})
    writer = SettingsWriter(context, lambda: context.data_sets)
    writer.write()
    text = (tmp_path / "config.yaml").read_text()
    assert text.startswith("# Chosen: epochs")
    assert yaml.safe_load(text)["embedding"]["embedding_dim"] == 2
    (tmp_path / "config.yaml").unlink()
    writer.write(last=True)
    assert not (tmp_path / "config.yaml").exists()


def test_a_disk_that_refuses_is_reported_once_and_retried_after_a_pause(context_of, tmp_path, disk, clock):
    progress = Messages()
    context = context_of(tmp_path, progress)
    writer = SettingsWriter(context, lambda: context.data_sets)
    for _ in range(3):
        writer.write()
    assert disk.tries == 1  # a step is no place to wait for a disk
    assert progress.texts == ["The run's settings could not be written and will be retried. the disk is full."]
    clock[0] += RETRY_S
    writer.write()
    assert (disk.tries, len(progress.texts)) == (2, 1)
    disk.full = False
    clock[0] += RETRY_S
    for _ in range(2):
        writer.write()
    assert disk.tries == 3


def test_the_last_call_does_not_wait_and_raises(context_of, tmp_path, disk, clock):
    context = context_of(tmp_path)
    writer = SettingsWriter(context, lambda: context.data_sets)
    writer.write()
    with pytest.raises(StorageError, match="the disk is full"):
        writer.write(last=True)
    assert disk.tries == 2
