"""The rendezvous of a training: ranks of different pasts agree on the point that all resume from."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from esmm_dist.embedding.run_tables import RunTables
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.parameter_server.config import ClientConfig
from esmm_dist.parameter_server.open_store import OpenedStore, new_generation, opened_store
from esmm_dist.parameter_server.run_identity import RunIdentity
from esmm_dist.ranks.world import World
from esmm_dist.train.context import TrainingContext
from esmm_dist.train.resume_point import RankStep, ResumePoint, Rollback, TableStep, find_resume_point
from esmm_dist.train.train_state import TrainState


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What the ranks have agreed on."""

    store: EmbeddingStore
    """Open; empty unless training resumes from memory."""
    resume_point: ResumePoint | None
    """None: the newest checkpoint, or the beginning."""
    lost_from_step: int | None = None
    """Step that memory had reached, where it is given up for the checkpoint."""
    reason: str = ""
    """Why it is given up."""


@contextmanager
def rendezvous(context: TrainingContext, state: TrainState) -> Iterator[Agreement]:
    """Agree with all ranks, and open the store of the rows for the ``with`` block; a collective.

    If memory holds a step that weights and rows can both be brought to, they are brought to it, on all ranks and
    servers. Otherwise the store is empty, and the caller restores the newest checkpoint.

    Args:
        context: settings, ranks and run of the training
        state: what this process has in memory

    Raises:
        EsmmError: As ``esmm_dist.parameter_server.open_store.opened_store``.
        LostError: A rank or a server was lost meanwhile.
    """
    world, config = context.world, context.config
    ranks = [RankStep(**each) for each in world.gather_values(asdict(state.rank_step))]
    plan = world.on_root(lambda: _plan(context, ranks))
    resume_point = ResumePoint(**plan["resume_point"]) if plan["resume_point"] else None
    run = RunIdentity(
        location=str(plan["location"]),
        generation=int(plan["generation"]),
        rank=world.rank,
        world_size=min(world.size, context.manifest.lanes),  # a rank without a lane never has ids: nobody waits for it
    )
    tables = RunTables(
        names=context.schema.tables, embedding=config.embedding, seed=config.seed, keep_undo=world.elastic
    )
    resume_after = resume_point.step if resume_point else None
    with opened_store(config.store, tables, run, world, resume_after=resume_after) as opened:
        steps = [rank.step for rank in ranks if rank.step is not None]
        if resume_point is not None:
            _bring_to(resume_point, world, state)
            _report_resuming(context, resume_point, opened)
            yield Agreement(store=opened.store, resume_point=resume_point)
        elif not steps:
            yield Agreement(store=opened.store, resume_point=None)
        else:
            context.progress.message(f"Rolling back to the last checkpoint: {plan['reason']}.")
            yield Agreement(
                store=opened.store, resume_point=None, lost_from_step=max(steps), reason=str(plan["reason"])
            )


def _plan(context: TrainingContext, ranks: list[RankStep]) -> dict[str, Any]:
    """Find out on rank 0 what all can resume from, as plain values. Servers refuse older generations from now on."""
    assert context.run is not None
    world, store, location = context.world, context.config.store, context.run.folder.location
    generation = new_generation(store)
    outcome: ResumePoint | Rollback = Rollback(reason="")
    if world.elastic and any(rank.step is not None for rank in ranks):
        outcome = find_resume_point(ranks, _fenced(store, location, generation, world), mode=store.update_mode)
        if isinstance(outcome, Rollback):
            generation += 1  # the one before has been fenced, and is not to be opened
    resumes = isinstance(outcome, ResumePoint)
    return {
        "location": location,
        "generation": generation,
        "resume_point": asdict(outcome) if resumes else None,
        "reason": "" if isinstance(outcome, ResumePoint) else outcome.reason,
    }


def _fenced(config: ClientConfig, location: str, generation: int, world: World) -> list[list[TableStep] | None]:
    """Fence older generations off on all servers; return the steps of each server's tables, None without the run."""
    from esmm_dist.parameter_server.generations import fence_servers  # loads Arrow Flight

    run = RunIdentity(location=location, generation=generation, rank=world.rank, world_size=world.size)
    return [
        [TableStep(step=step, undoable=state.undoable[table] == step) for table, step in state.steps.items()]
        if state.open
        else None
        for state in fence_servers(config, run)
    ]


def _bring_to(point: ResumePoint, world: World, state: TrainState) -> None:
    """Bring the weights of all ranks to the resume point; ranks that have just come get all from the root rank."""
    if state.step == point.step + 1:
        state.undo()
    if state.step != point.step:
        state.forget()  # what is half received must not be taken for something
    mappings = world.gather_values(json.dumps(state.to_mapping()) if world.rank == point.root_rank else "")
    world.broadcast_variables(state.compiled.variables, root_rank=point.root_rank)
    state.load_mapping(json.loads(mappings[point.root_rank]))
    state.begin(point.step)


def _report_resuming(context: TrainingContext, point: ResumePoint, opened: OpenedStore) -> None:
    ranks = context.world.size
    lost = f"; {opened.lost_steps} steps of sparse updates are lost" if opened.lost_steps else ""
    context.progress.message(
        f"{ranks} rank{'s' * (ranks != 1)} resume{'s' * (ranks == 1)} from memory after step {point.step:,}{lost}"
    )
    if context.world.rank == 0:
        context.reporter.event(
            "went_on",
            ranks=ranks,
            step=point.step,
            undone_steps=opened.undone_steps,
            lost_sparse_steps=opened.lost_steps,
            repeated_sparse_steps=opened.repeated_steps,
        )
