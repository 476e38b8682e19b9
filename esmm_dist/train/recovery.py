"""What all go on from after some ranks, or servers, were lost: a step that weights and rows can both be brought to.

In ``sync`` mode nobody is more than one step from anybody: a rank makes step t + 1 only when all ranks and servers have
had all gradients of step t::

                     weights at        rows at
    rank 0           t                 server 0     t        all go on after step t - 1: rank 0 and server 0 undo
    rank 1           t - 1             server 1     t - 1    step t, which is then made once more, by the ranks of then
    rank 2           (killed)

Nothing here talks to anybody: what is known comes in, what to do goes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from esmm_dist.parameter_server.config import UpdateMode


@dataclass(frozen=True, kw_only=True)
class RankStanding:
    """How far a rank's dense weights are."""

    step: int | None
    """Steps that the weights contain; None: a process that has just begun."""
    undoable: bool
    """Whether the last of these steps can be undone."""


@dataclass(frozen=True, kw_only=True)
class RowStanding:
    """How far a table's rows on one server are."""

    step: int
    """Steps that the rows contain."""
    undoable: bool
    """Whether the last of these steps can be undone."""


@dataclass(frozen=True, kw_only=True)
class GoOn:
    """Go on from memory."""

    step: int
    """Steps that weights and rows will contain."""
    root_rank: int
    """Has the weights and all that goes with them."""


@dataclass(frozen=True, kw_only=True)
class RollBack:
    """Go on from the newest checkpoint."""

    reason: str
    """For people; empty at a run's first start in these processes."""


def agree(
    ranks: Sequence[RankStanding],
    servers: Sequence[Sequence[RowStanding] | None],
    *,
    mode: UpdateMode,
) -> GoOn | RollBack:
    """Find the step that all go on from.

    Args:
        ranks: Of the ranks that are here, in order.
        servers: The tables of each server; None: it does not hold the run.
        mode: When rows are updated.

    Returns:
        ``GoOn`` if memory holds such a step: in ``sync`` exactly, in ``bounded`` and ``async`` but for updates of rows
        that are lost, which the servers count.
    """
    steps = [rank.step for rank in ranks if rank.step is not None]
    if not steps:
        return RollBack(reason="")
    empty = [str(index) for index, tables in enumerate(servers) if tables is None]
    if empty:
        return RollBack(reason=f"server {', '.join(empty)} was started again and has no rows")
    rows = [table for tables in servers for table in tables or ()]
    if mode == "async":
        # Rows of the newest step have changed already: to make it again would change them twice
        step = max(steps)
    else:
        step = min([*steps, *(table.step for table in rows)] if mode == "sync" else steps)
        behind = [rank for rank in ranks if rank.step is not None and not _can_reach(rank.step, rank.undoable, step)]
        if behind or (mode == "sync" and not all(_can_reach(each.step, each.undoable, step) for each in rows)):
            return RollBack(
                reason=f"weights at the steps {steps} and rows at {[each.step for each in rows]} do not fit"
            )
    has = [rank.step is not None and (mode != "async" or rank.step == step) for rank in ranks]
    return GoOn(step=step, root_rank=has.index(True))


def _can_reach(at: int, undoable: bool, step: int) -> bool:
    return at == step or (undoable and at == step + 1)
