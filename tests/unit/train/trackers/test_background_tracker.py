"""Points on their way to a service that is there, slow, down, or gone for a while."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from esmm_dist.progress import NoProgress
from esmm_dist.train.trackers import background_tracker
from esmm_dist.train.trackers.background_tracker import BackgroundTracker
from esmm_dist.train.trackers.tracker import TrackedPoint, TrackedRun, TrackedStatus

PATIENCE_S = 30.0


class Service:
    """A tracker whose calls fail or hang as a test says."""

    def __init__(self) -> None:
        self.points: list[TrackedPoint] = []
        self.begun: list[str | None] = []
        self.ended: list[TrackedStatus | None] = []
        self.is_down = False
        self.answers = threading.Event()
        self.answers.set()

    def begin(self, run: TrackedRun, run_id: str | None) -> str:
        self._call()
        self.begun.append(run_id)
        return run_id or "new"

    def log(self, points: Sequence[TrackedPoint]) -> None:
        self._call()
        self.points += points

    def end(self, status: TrackedStatus | None) -> None:
        self._call()
        self.ended.append(status)

    def _call(self) -> None:
        assert self.answers.wait(PATIENCE_S)
        if self.is_down:
            raise OSError("connection refused\nand a long story")


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


class Tracked:
    """A tracker of a service, and what it has said and kept."""

    def __init__(self, run_id: str | None = None, pauses_s: tuple[float, float, float] = (10, 0.01, 10)) -> None:
        self.service, self.progress, self.kept = Service(), Messages(), []
        run = TrackedRun(name="run", experiment=None, settings={"seed": 1}, run_id=run_id)
        self.tracker = BackgroundTracker(
            "mlflow",
            self.service,
            run,
            progress=self.progress,
            keep_run_id=self.kept.append,
            pauses_s=pauses_s,
        )


def wait_for(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.002)


@pytest.mark.parametrize(("known", "kept"), [(None, "new"), ("known", "known")])
def test_points_arrive_in_order_and_the_run_ends_with_its_status(known, kept):
    tracked = Tracked(known)
    tracked.tracker.start()
    tracked.tracker.start()
    for step in range(250):
        tracked.tracker.add(step, {"loss": step / 2})
    tracked.tracker.close(TrackedStatus.FINISHED)
    tracked.tracker.close(TrackedStatus.FAILED)
    tracked.tracker.add(251, {"loss": 1.0})
    assert [(point.step, point.values) for point in tracked.service.points] == [
        (step, {"loss": step / 2}) for step in range(250)
    ]
    assert (tracked.service.begun, tracked.kept) == ([known], [kept])
    assert tracked.service.ended == [TrackedStatus.FINISHED]
    assert tracked.progress.texts == []


def test_a_training_with_nothing_left_to_do_asks_the_service_nothing():
    tracked = Tracked("known")
    tracked.tracker.add(1, {"loss": 1.0})
    tracked.tracker.close(TrackedStatus.FINISHED)
    assert (tracked.service.begun, tracked.service.ended) == ([], [])


def test_a_service_that_is_down_at_the_start_is_said_so_and_gets_all_when_it_comes():
    tracked = Tracked()
    tracked.service.is_down = True
    tracked.tracker.start()
    assert tracked.progress.texts == [
        "Warning: mlflow cannot be logged to now: connection refused Training goes on, and tries again meanwhile."
    ]
    tracked.tracker.add(1, {"loss": 1.0})
    tracked.service.is_down = False
    tracked.tracker.add(2, {"loss": 2.0})
    tracked.tracker.close(None)
    assert [point.step for point in tracked.service.points] == [1, 2]
    assert tracked.service.ended == [None]
    assert len(tracked.progress.texts) == 1


def test_a_service_that_goes_and_comes_again_misses_nothing():
    tracked = Tracked()
    tracked.tracker.start()
    tracked.tracker.add(1, {"loss": 1.0})
    wait_for(lambda: tracked.service.points)
    tracked.service.is_down = True
    tracked.tracker.add(2, {"loss": 2.0})
    wait_for(lambda: tracked.tracker._error)
    tracked.service.is_down = False
    tracked.tracker.close(TrackedStatus.KILLED)
    assert [point.step for point in tracked.service.points] == [1, 2]
    assert (tracked.service.ended, tracked.progress.texts) == ([TrackedStatus.KILLED], [])


def test_a_service_that_stays_away_costs_its_points_and_one_line():
    tracked = Tracked()
    tracked.tracker.start()
    tracked.tracker.add(1, {"loss": 1.0})
    wait_for(lambda: tracked.service.points)
    tracked.service.is_down = True
    for step in (2, 3, 4):
        tracked.tracker.add(step, {"loss": 1.0})
    tracked.tracker.close(TrackedStatus.FINISHED)
    assert tracked.progress.texts == ["Warning: 3 points of the log did not reach mlflow: connection refused"]


def test_more_points_than_may_wait_are_lost_and_counted(monkeypatch):
    monkeypatch.setattr(background_tracker, "MOST_POINTS", 5)
    tracked = Tracked()
    tracked.service.is_down = True
    tracked.tracker.start()
    for step in range(8):
        tracked.tracker.add(step, {"loss": 1.0})
    tracked.service.is_down = False
    wait_for(lambda: tracked.service.points)
    tracked.tracker.close(TrackedStatus.FINISHED)
    assert [point.step for point in tracked.service.points] == [0, 1, 2, 3, 4]
    assert tracked.progress.texts[1:] == ["Warning: 3 points of the log did not reach mlflow: it was away for a while"]


def test_a_service_that_hangs_holds_up_neither_the_start_nor_the_end():
    tracked = Tracked(pauses_s=(0.05, 0.01, 0.05))
    tracked.service.answers.clear()
    began = time.monotonic()
    tracked.tracker.start()
    tracked.tracker.add(1, {"loss": 1.0})
    tracked.tracker.close(TrackedStatus.FINISHED)
    assert time.monotonic() - began < 10
    assert tracked.progress.texts == [
        "Warning: mlflow cannot be logged to now: it has not answered for 0.05 s. Training goes on, and tries again "
        "meanwhile.",
        "Warning: 1 point of the log did not reach mlflow: it has not answered for 0.05 s",
    ]
    tracked.service.answers.set()
