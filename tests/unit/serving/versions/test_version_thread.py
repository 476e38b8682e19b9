"""What the thread that looks for versions says: each thing once, also when a store does not answer for a while."""

import contextlib
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from esmm_dist.progress import NoProgress
from esmm_dist.serving.versions.version_cache import VersionCache
from esmm_dist.serving.versions.version_thread import VersionEvent, VersionThread
from esmm_dist.serving.versions.version_watch import VersionWatch
from esmm_dist.storage.copy import copy_tree
from esmm_dist.storage.folder import Folder
from tests.support.damage import flip_bit
from tests.support.s3_server import S3Server
from tests.support.served_models import DIMS, random_rows, write_version

ROWS = {name: random_rows(range(20), dim) for name, dim in DIMS.items()}
OTHER_ROWS = {name: random_rows(range(20), dim, seed=5) for name, dim in DIMS.items()}


@contextlib.contextmanager
def looking(models: Folder, cache: VersionCache | None = None) -> Iterator[VersionThread]:
    with VersionThread(VersionWatch(models, cache), 0.02) as thread:
        yield thread


def next_event(thread: VersionThread, seconds: float = 30.0) -> VersionEvent:
    """Return the next event that is no news of a copy; there must be no other with it."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        select.select([thread], [], [], 0.1)
        events = [event for event in thread.take() if not event.text.startswith("fetch version")]
        if events:
            [event] = events
            return event
    raise AssertionError("nothing came")


def nothing_comes(thread: VersionThread) -> None:
    select.select([thread], [], [], 0.3)
    assert thread.take() == []


def test_each_reason_is_said_once_and_a_version_waits_for_its_verdict(tmp_path: Path):
    with looking(Folder.open(tmp_path)) as thread:
        event = next_event(thread)
        assert event.text == event.reason
        assert event.text.startswith(f"{tmp_path} holds no version that can be served")
        assert not event.is_refusal
        nothing_comes(thread)
        write_version(tmp_path / "1", ROWS)
        offered = next_event(thread).offered
        assert offered is not None
        write_version(tmp_path / "2", OTHER_ROWS)
        nothing_comes(thread)  # one after the other
        thread.settle(offered, taken=True)
        second = next_event(thread).offered
        assert second is not None
        assert second.name == "2"
        thread.settle(second, taken=False)
        nothing_comes(thread)
        write_version(tmp_path / "3", ROWS)
        flip_bit(tmp_path / "3" / "served" / "manifest.json")
        event = next_event(thread)
        assert event.is_refusal
        assert event.text.startswith("Version 3 is passed over: ")
        nothing_comes(thread)
        thread.forget()
        again = next_event(thread).offered
        assert again is not None
        assert again.name == "1"  # 2 was refused


def test_a_version_that_is_named_and_not_there_has_one_line(tmp_path: Path):
    write_version(tmp_path / "1", ROWS)
    (tmp_path / "current.json").write_text('{"version": 9}')
    with looking(Folder.open(tmp_path)) as thread:
        events: list[VersionEvent] = []
        while len(events) < 2:
            select.select([thread], [], [], 30)
            events += thread.take()
        nothing_comes(thread)
    assert [event.text[:27] for event in events if event.text] == ["Version 9 is passed over: /"]
    assert [event.reason.partition(".")[0] for event in events if event.reason] == [
        f"{tmp_path} holds no version that can be served"
    ]


def test_a_store_that_does_not_answer_is_asked_again(tmp_path: Path, s3: S3Server):
    store = Folder.open(s3.uri("bucket/models"))
    write_version(tmp_path / "1", ROWS)
    with VersionCache(None) as cache, looking(store, cache) as thread:
        assert next_event(thread).reason.startswith("s3://")
        s3.refuse_after(0)
        event = next_event(thread)
        assert event.text.endswith("It is tried again.")
        nothing_comes(thread)
        s3.refuse_after(float("inf"))
        copy_tree(Folder.open(tmp_path / "1"), store / "1", NoProgress())
        offered = None
        while offered is None:
            offered = next_event(thread).offered
        assert offered.name == "1"


def test_the_end_does_not_wait_for_a_copy(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch):
    store = Folder.open(s3.uri("bucket/large"))
    write_version(tmp_path / "1", {name: random_rows(range(3000), dim) for name, dim in DIMS.items()})
    copy_tree(Folder.open(tmp_path / "1"), store / "1", NoProgress())
    with VersionCache(tmp_path / "cache") as cache:
        thread = VersionThread(VersionWatch(store, cache), 0.02)
        thread._stopped.set()
        with pytest.raises(Exception, match="the server ends"):
            thread._look()
        assert not list((tmp_path / "cache").rglob(".checked"))
        with thread:  # ends at once
            pass
