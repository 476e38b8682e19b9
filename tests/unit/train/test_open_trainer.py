"""A trainer on each rank; rank 0 alone locks the run and reports."""

import contextlib

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.reporter import NO_REPORTER
from esmm_dist.train import open_trainer as module
from esmm_dist.train.open_trainer import open_trainer
from esmm_dist.train.train_state import ProcessMemory


class Rank(SoloWorld):
    """One of two ranks; what rank 0 does is done there alone."""

    size = 2

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def on_root(self, work):
        return work() if self.rank == 0 else None


class Config:
    run = "RUN"


@pytest.fixture
def course(monkeypatch):
    """Replaces the trainer; returns what happened, in order."""
    happened: list[object] = []

    class Trainer:
        def __init__(self, config, progress, run, *, world, reporter, memory) -> None:
            happened.append(("made", type(progress).__name__, run, memory))

        def __enter__(self):
            return self

        def __exit__(self, *error) -> None:
            happened.append("closed")

    monkeypatch.setattr(module, "Trainer", Trainer)
    return happened


class Bar(NoProgress):
    pass


def lock_of(happened: list[object]):
    @contextlib.contextmanager
    def lock(location):
        happened.append(f"locked {location}")
        yield "the folder"
        happened.append("unlocked")

    return lock


def test_rank_0_holds_the_lock_until_its_trainer_is_closed(course):
    memory = ProcessMemory()
    with open_trainer(Config(), Bar(), Rank(0), NO_REPORTER, memory, lock_of(course)):  # type: ignore[arg-type]
        course.append("training")
    assert course == ["locked RUN", ("made", "Bar", "the folder", memory), "training", "closed", "unlocked"]


def test_other_ranks_lock_nothing_and_report_nothing(course):
    with open_trainer(Config(), Bar(), Rank(1), NO_REPORTER, None, lock_of(course)):  # type: ignore[arg-type]
        pass
    assert course == [("made", "NoProgress", None, None), "closed"]


def test_a_run_that_is_locked_makes_no_trainer(course):
    @contextlib.contextmanager
    def lock(location):
        raise ConfigError("Another process is training")
        yield

    with (
        pytest.raises(ConfigError, match="Another process is training"),
        open_trainer(Config(), Bar(), Rank(0), NO_REPORTER, None, lock),  # type: ignore[arg-type]
    ):
        pass
    assert course == []
