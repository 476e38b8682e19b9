"""What a server must do so that a run resumes from a step: pure, no threads.

In ``sync``, when a rank dies, every server has applied all steps up to T or T + 1, where T is the last step that all
survivors have finished. So a table is at T, or its last step is undone. The rows are then those of an undisturbed
run. In ``bounded`` and ``async`` a table may be anywhere near T; it stays as it is, and what that costs is
counted.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from esmm_dist.parameter_server.config import UpdateMode
from esmm_dist.parameter_server.headers import OpenHeader
from esmm_dist.parameter_server.refusals import RequestError

_MAY_DIFFER = ("generation", "world_size", "first_step")


@dataclass(frozen=True, kw_only=True)
class TableSteps:
    """Which steps a table has applied."""

    applied: int
    """The last step that was applied, with all before it."""
    undoable: int | None
    """The step that can be undone; None: none can."""


def tables_to_undo(steps: Mapping[str, TableSteps], *, mode: UpdateMode, first_step: int) -> tuple[str, ...]:
    """Choose the tables whose last step is undone, so that the run resumes after ``first_step``.

    Raises:
        RequestError: In ``sync``, a table cannot be brought to that step.
    """
    chosen = []
    for table, of_table in steps.items():
        if of_table.applied == first_step + 1 == of_table.undoable:
            chosen.append(table)
        elif of_table.applied != first_step and mode == "sync":
            undoable = "none can be undone" if of_table.undoable is None else f"step {of_table.undoable} can be undone"
            raise RequestError(
                f"table '{table}': the run is to resume after step {first_step}, but step {of_table.applied} was "
                f"applied last and {undoable}. Restore the run from its checkpoint"
            )
    return tuple(chosen)


def check_same_run(opened: OpenHeader, resumed: OpenHeader) -> None:
    """Check that a run resumes with the settings that it was opened with.

    Raises:
        RequestError: Anything but the generation, the number of ranks and the step differs.
    """
    before, now = asdict(opened), asdict(resumed)
    wrong = [name for name, value in before.items() if now[name] != value and name not in _MAY_DIFFER]
    if wrong:
        raise RequestError(
            f"run '{opened.run}' was opened with another {' and '.join(wrong)} than it is to resume with: "
            f"{', '.join(f'{before[name]!r}, not {now[name]!r}' for name in wrong)}. Resume with the same settings"
        )
