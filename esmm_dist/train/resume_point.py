"""The resume point after some ranks, or servers, were lost: a step that weights and rows can both be brought to.

In ``sync`` mode ranks and servers are at most one step apart: a rank makes step t + 1 only when all ranks and servers
have had all gradients of step t::

                     weights at        rows at
    rank 0           t                 server 0     t        all resume after step t - 1: rank 0 and server 0 undo
    rank 1           t - 1             server 1     t - 1    step t, which is then made once more, by the ranks of then
    rank 2           (killed)

Pure: what is known comes in, what to do goes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from esmm_dist.parameter_server.config import UpdateMode


@dataclass(frozen=True, kw_only=True)
class RankStep:
    """How many steps a rank's dense weights contain."""

    step: int | None
    """Steps that the weights contain; None: a process that has just begun."""
    undoable: bool
    """Whether the last of these steps can be undone."""


@dataclass(frozen=True, kw_only=True)
class TableStep:
    """How many steps a table's rows on one server contain."""

    step: int
    """Steps that the rows contain."""
    undoable: bool
    """Whether the last of these steps can be undone."""


@dataclass(frozen=True, kw_only=True)
class ResumePoint:
    """Go on from what memory holds."""

    step: int
    """Steps that weights and rows will contain."""
    root_rank: int
    """Rank that has the weights and all that goes with them."""


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """Go on from the newest checkpoint."""

    reason: str
    """Why memory is given up, for people; empty at a run's first start in these processes."""


def find_resume_point(
    ranks: Sequence[RankStep],
    servers: Sequence[Sequence[TableStep] | None],
    *,
    mode: UpdateMode,
) -> ResumePoint | Rollback:
    """Find the step after which all ranks and servers resume.

    Args:
        ranks: steps of the ranks that are here, in their order
        servers: steps of each server's tables; None: it does not hold the run
        mode: when rows are updated

    Returns:
        ``ResumePoint`` if memory holds such a step: exactly in ``sync``; in ``bounded`` and ``async`` without some
        updates of rows, which are lost and counted by the servers. Otherwise a ``Rollback``.
    """
    steps = [rank.step for rank in ranks if rank.step is not None]
    if not steps:
        return Rollback(reason="")
    empty = [str(index) for index, tables in enumerate(servers) if tables is None]
    if empty:
        several = len(empty) > 1
        subject, verb = ("servers", "hold") if several else ("server", "holds")
        return Rollback(reason=f"{subject} {', '.join(empty)} restarted and {verb} no rows")
    rows = [table for tables in servers for table in tables or ()]
    if mode == "async":
        # Rows of the newest step have changed already: to make it again would change them twice
        step = max(steps)
    else:
        step = min([*steps, *(table.step for table in rows)] if mode == "sync" else steps)
        behind = [rank for rank in ranks if rank.step is not None and not _can_reach(rank.step, rank.undoable, step)]
        if behind or (mode == "sync" and not all(_can_reach(each.step, each.undoable, step) for each in rows)):
            return Rollback(reason=f"weights are at steps {steps} and rows at steps {[each.step for each in rows]}")
    has = [rank.step is not None and (mode != "async" or rank.step == step) for rank in ranks]
    return ResumePoint(step=step, root_rank=has.index(True))


def _can_reach(at: int, undoable: bool, step: int) -> bool:
    return at == step or (undoable and at == step + 1)
