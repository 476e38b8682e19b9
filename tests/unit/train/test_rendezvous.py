"""Ranks of different pasts agree on the point that all resume from: two ranks, of which this process is one."""

import contextlib
import json
from dataclasses import asdict
from typing import Any

import pytest

from esmm_dist.parameter_server.open_store import OpenedStore
from esmm_dist.progress import NoProgress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.train import rendezvous as module
from esmm_dist.train.rendezvous import Agreement, rendezvous
from esmm_dist.train.resume_point import RankStep, ResumePoint, TableStep
from esmm_dist.train.train_state import TrainState
from tests.unit.train.stand_ins import StandInModel

GENERATION = 7


class TwoRanks(SoloWorld):
    """This rank and another one, whose answers are known."""

    size = 2

    def __init__(self, rank: int, other: RankStep, *, elastic: bool = True, others_state: str = "") -> None:
        self.rank, self.elastic = rank, elastic
        data_sets: list[Any] = []  # it has just come
        self._answers: list[Any] = [*([data_sets] if elastic else []), asdict(other), others_state]

    def gather_values(self, value: Any) -> list[Any]:
        """Return both values, rank 0's first."""
        values = [self.share(value), self._answers.pop(0)]
        return values if self.rank == 0 else values[::-1]


class Listener(NoProgress):
    """Remembers messages and events."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.events: list[tuple[str, dict[str, Any]]] = []

    def message(self, text: str) -> None:
        self.texts.append(text)

    def note(self, **facts: Any) -> None:
        pass

    def event(self, name: str, **facts: Any) -> None:
        self.events.append((name, facts))


def state_at(step: int | None, *, undoable: bool = True) -> TrainState:
    state = TrainState(StandInModel(), 2)  # type: ignore[arg-type]
    if step is not None:
        state.begin(step - undoable)
        if undoable:
            state.advance([1.0, 1.0], 1.0)  # type: ignore[arg-type]
    return state


@pytest.fixture
def servers(monkeypatch):
    """What the servers hold, and what the store was opened with."""
    held: dict[str, Any] = {"tables": [[TableStep(step=7, undoable=True)]], "opened": OpenedStore(store=None)}  # type: ignore[arg-type]

    @contextlib.contextmanager
    def opened_store(config, tables, run, world, *, resume_after):
        held.update(
            pushing_ranks=run.world_size,
            generation=run.generation,
            keep_undo=tables.keep_undo,
            resume_after=resume_after,
        )
        yield held["opened"]

    monkeypatch.setattr(module, "opened_store", opened_store)
    monkeypatch.setattr(module, "new_generation", lambda store: GENERATION)
    monkeypatch.setattr(module, "_fenced", lambda *args: held["tables"])
    return held


@pytest.fixture
def meet(context_of, tmp_path, servers):
    """Makes this process take part, and returns what was agreed."""

    def act(world: TwoRanks, state: TrainState, listener: Listener) -> Agreement:
        context = context_of(tmp_path, listener, world, reporter=listener)
        with rendezvous(context, state) as agreement:
            return agreement

    return act


def test_the_first_ranks_open_an_empty_store_and_say_nothing(meet, servers):
    listener = Listener()
    agreement = meet(TwoRanks(0, RankStep(step=None, undoable=False)), state_at(None), listener)
    assert (agreement.resume_point, agreement.lost_from_step, listener.texts, listener.events) == (None, None, [], [])
    assert (servers["generation"], servers["resume_after"]) == (GENERATION, None)


@pytest.mark.parametrize(("ranks", "pushing"), [(2, 2), (4, 4), (5, 4)])
def test_servers_count_the_ranks_that_have_a_lane(meet, servers, ranks, pushing):
    """The data set has four lanes."""
    world = TwoRanks(0, RankStep(step=None, undoable=False))
    world.size = ranks
    meet(world, state_at(None), Listener())
    assert servers["pushing_ranks"] == pushing


def test_ranks_that_stay_do_not_ask_what_memory_holds(meet, servers, monkeypatch):
    monkeypatch.setattr(module, "_fenced", lambda *args: pytest.fail("nobody was lost"))
    world = TwoRanks(0, RankStep(step=7, undoable=True), elastic=False)
    assert meet(world, state_at(7), Listener()).resume_point is None
    assert servers["keep_undo"] is False


def test_a_rank_that_is_one_step_ahead_of_the_rows_undoes_its_step(meet, servers):
    servers["tables"] = [[TableStep(step=6, undoable=True)]]
    servers["opened"] = OpenedStore(store=None, undone_steps=1)  # type: ignore[arg-type]
    state, listener = state_at(7), Listener()
    agreement = meet(TwoRanks(0, RankStep(step=7, undoable=True)), state, listener)
    assert agreement.resume_point == ResumePoint(step=6, root_rank=0)
    assert (state.step, state.compiled.undone) == (6, 1)  # type: ignore[attr-defined]
    assert listener.texts == ["2 ranks resume from memory after step 6"]
    expected = {"undone_steps": 1, "lost_sparse_steps": 0, "repeated_sparse_steps": 0}
    assert listener.events == [("went_on", {"ranks": 2, "step": 6, **expected})]
    assert (servers["resume_after"], servers["keep_undo"]) == (6, True)


def test_a_new_rank_takes_over_what_goes_with_the_weights_of_the_root_rank(meet):
    root = state_at(7)
    root.evaluations, root.evicted_step = [{"step": 4}], 3
    new, listener = state_at(None), Listener()
    world = TwoRanks(0, RankStep(step=7, undoable=True), others_state=json.dumps(root.to_mapping()))
    agreement = meet(world, new, listener)
    assert agreement.resume_point == ResumePoint(step=7, root_rank=1)
    assert (new.step, new.to_mapping()) == (7, root.to_mapping())


def test_updates_of_rows_that_are_lost_are_reported(meet, servers):
    servers["opened"] = OpenedStore(store=None, lost_steps=3, repeated_steps=2)  # type: ignore[arg-type]
    listener = Listener()
    meet(TwoRanks(0, RankStep(step=7, undoable=True)), state_at(7), listener)
    assert listener.texts == ["2 ranks resume from memory after step 7; 3 steps of sparse updates are lost"]
    ((_, facts),) = listener.events
    assert (facts["lost_sparse_steps"], facts["repeated_sparse_steps"]) == (3, 2)


def test_without_the_rows_all_go_back_to_the_checkpoint_in_a_generation_that_nobody_was_fenced_off_from(meet, servers):
    servers["tables"] = [[TableStep(step=7, undoable=True)], None]
    state, listener = state_at(6), Listener()
    agreement = meet(TwoRanks(0, RankStep(step=7, undoable=True)), state, listener)
    reason = "server 1 restarted and holds no rows"
    assert (agreement.resume_point, agreement.lost_from_step, agreement.reason) == (None, 7, reason)
    assert listener.texts == [f"Rolling back to the last checkpoint: {reason}."]
    assert (servers["generation"], servers["resume_after"]) == (GENERATION + 1, None)
    assert state.step == 6  # nothing was undone: it is given up as a whole
