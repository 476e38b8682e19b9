"""The beginning of a training among ranks of different pasts: all agree on what they go on from."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.parameter_server.config import ClientConfig
from esmm_dist.parameter_server.open_store import new_generation, opened_store
from esmm_dist.progress import Progress
from esmm_dist.ranks.world import World
from esmm_dist.reporter import Reporter
from esmm_dist.schema.fields import Schema
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.recovery import GoOn, RankStanding, RollBack, RowStanding, agree
from esmm_dist.train.run_folder import RunFolder
from esmm_dist.train.standing import Standing


@dataclass(frozen=True, kw_only=True)
class Met:
    """What the ranks have agreed on."""

    store: EmbeddingStore
    """Open; empty unless training goes on."""
    go_on: GoOn | None
    """None: from the newest checkpoint."""
    lost_from_step: int | None = None
    """The step that memory had reached, where it is given up for the checkpoint."""
    reason: str = ""
    """Why it is given up."""


@dataclass(frozen=True, kw_only=True)
class _Agreed:
    location: str
    generation: int
    outcome: GoOn | RollBack


@contextmanager
def met_ranks(
    config: TrainConfig,
    run: RunFolder | None,
    schema: Schema,
    world: World,
    standing: Standing,
    progress: Progress,
    reporter: Reporter,
) -> Iterator[Met]:
    """Agree, and open the store of the rows for the ``with`` block; a meeting of all ranks.

    If memory holds a step that weights and rows can both be brought to, they are brought to it, on all ranks and
    servers. Otherwise the store is empty, and the caller restores the newest checkpoint.

    Args:
        config: Of the training.
        run: The run's folder; None on other ranks than 0.
        schema: Names the tables.
        world: The ranks.
        standing: Of this process.
        progress: Told what was agreed.
        reporter: Told the same.

    Raises:
        EsmmError: As ``esmm_dist.parameter_server.open_store.opened_store``.
        LostError: A rank or a server was lost meanwhile.
    """
    ranks = [RankStanding(**each) for each in world.gather_values(asdict(standing.rank_standing))]

    def find() -> dict[str, Any]:
        assert run is not None
        agreed = _agreed(config, run.folder.location, ranks, world)
        return {**asdict(agreed), "goes_on": isinstance(agreed.outcome, GoOn)}

    found = world.on_root(find)
    go_on = GoOn(**found["outcome"]) if found["goes_on"] else None
    with opened_store(
        config.store,
        schema.tables,
        config.embedding,
        seed=config.seed,
        location=str(found["location"]),
        purpose="train",
        generation=int(found["generation"]),
        world=world,
        keep_undo=world.elastic,
        go_on_after=go_on.step if go_on else None,
    ) as opened:
        if go_on is not None:
            _go_on(go_on, world, standing)
            facts = {
                "step": go_on.step,
                "undone_steps": opened.undone_steps,
                "lost_sparse_steps": opened.lost_steps,
                "repeated_sparse_steps": opened.repeated_steps,
            }
            progress.message(
                f"{world.size} rank{'s' * (world.size != 1)} go on from memory after step {go_on.step:,}"
                + (f"; {opened.lost_steps} steps of sparse updates are lost" if opened.lost_steps else "")
            )
            if world.rank == 0:
                reporter.event("went_on", ranks=world.size, **facts)
        steps = [rank.step for rank in ranks if rank.step is not None]
        if go_on is not None or not steps:
            yield Met(store=opened.store, go_on=go_on)
            return
        reason = found["outcome"]["reason"]
        progress.message(f"Rolling back to the last checkpoint: {reason}.")
        yield Met(store=opened.store, go_on=None, lost_from_step=max(steps), reason=reason)


def _agreed(config: TrainConfig, location: str, ranks: list[RankStanding], world: World) -> _Agreed:
    """Find out what all can go on from; on rank 0. The servers take no calls of older generations any more."""
    generation = new_generation(config.store)
    outcome: GoOn | RollBack = RollBack(reason="")
    if world.elastic and any(rank.step is not None for rank in ranks):
        outcome = agree(ranks, _fenced(config.store, location, generation, world), mode=config.store.update_mode)
        if isinstance(outcome, RollBack):
            generation += 1  # the one before has been fenced, and is not to be opened
    return _Agreed(location=location, generation=generation, outcome=outcome)


def _fenced(config: ClientConfig, location: str, generation: int, world: World) -> list[list[RowStanding] | None]:
    from esmm_dist.parameter_server.client import RunIdentity, fence_servers  # loads Arrow Flight

    run = RunIdentity(location=location, generation=generation, rank=world.rank, world_size=world.size)
    return [
        [RowStanding(step=step, undoable=state.undoable[table] == step) for table, step in state.steps.items()]
        if state.open
        else None
        for state in fence_servers(config, run)
    ]


def _go_on(go_on: GoOn, world: World, standing: Standing) -> None:
    """Bring the weights of all ranks to the step; those that have just come get everything from the root rank."""
    if standing.step == go_on.step + 1:
        standing.undo()
    if standing.step != go_on.step:
        standing.forget()  # what is half received must not be taken for something
    states = world.gather_values(json.dumps(standing.to_state()) if world.rank == go_on.root_rank else "")
    world.broadcast_variables(standing.dense.variables, root_rank=go_on.root_rank)
    standing.load_state(json.loads(states[go_on.root_rank]))
    standing.begin(go_on.step)
