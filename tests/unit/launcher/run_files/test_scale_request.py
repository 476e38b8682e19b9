"""The file by which ``esmm scale`` asks for workers, and when so many train."""

import pytest

from esmm_dist.storage.folder import Folder
from launcher.run_files.run_status import RunStatus, WorkerStatus
from launcher.run_files.scale_request import (
    ScaleRequest,
    read_scale_request,
    scale_outcome,
    trains,
    write_scale_request,
)


@pytest.fixture
def run(tmp_path):
    return Folder.open(tmp_path)


def test_a_request_is_read_as_it_was_written(run):
    assert read_scale_request(run) is None
    write_scale_request(run, ScaleRequest(workers=3, id="a"))
    assert read_scale_request(run) == ScaleRequest(workers=3, id="a")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"3", b'{"workers": "many"}', b'{"workers": 3}', b"\xff"])
def test_a_damaged_request_is_none(run, text):
    run.write_bytes("scale.json", text)
    assert read_scale_request(run) is None


def running(phase: str, *, rank: int | None = 2) -> WorkerStatus:
    return WorkerStatus(name="worker-2", state="running", rank=rank, phase=phase)


def status(ranks: int, *, wanted: int, written_at: float = 2.0, last: WorkerStatus | None = None) -> RunStatus:
    workers = [
        WorkerStatus(name=f"worker-{rank}", state="running", rank=rank, phase="training") for rank in range(ranks)
    ]
    if last is not None:
        workers[-1:] = [last]
    return RunStatus(
        run="run",
        state="running",
        written_at=written_at,
        started_at=0.0,
        driver_pid=1,
        ranks=ranks,
        wanted_workers=wanted,
        workers=tuple(workers),
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (status(3, wanted=3), True),
        (status(2, wanted=3), False),  # one is still missing
        (status(3, wanted=2), False),  # it trained with 3 before, and the driver has not read the request
        (status(4, wanted=3), False),  # one has yet to leave
        (status(3, wanted=3, written_at=1.0), False),  # from before the request
        (status(3, wanted=3, last=WorkerStatus(name="worker-2", state="ready")), False),  # joins
        (status(3, wanted=3, last=running("starting", rank=None)), False),  # has no rank yet
        (status(3, wanted=3, last=running("starting")), False),  # knows its rank, and loads what it needs
        (status(3, wanted=3, last=running("meeting")), False),  # waits for the others
        (status(3, wanted=3, last=running("saving")), True),
        (status(3, wanted=3, last=running("evaluating")), True),
        (status(3, wanted=3, last=running("left")), False),
        (status(3, wanted=3, last=WorkerStatus(name="worker-2", state="draining", rank=2)), False),
    ],
)
def test_so_many_train_once_each_has_joined_and_the_driver_has_said_so_since(found, expected):
    assert trains(found, 3, since=1.0) == expected


def test_what_is_printed_says_whether_somebody_waited():
    waited = scale_outcome(3, before=2, seconds=4.25)
    assert waited.lines == ["3 workers train (before: 2), after 4.2 s."]
    assert waited.result == {"workers": 3, "before": 2, "seconds": 4.25}
    asked = scale_outcome(3, before=2, seconds=None)
    assert asked.lines == ["Asked for 3 workers (before: 2)."]
    assert asked.result == {"workers": 3, "before": 2, "seconds": 0.0}
