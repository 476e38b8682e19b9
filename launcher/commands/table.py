"""``esmm table``: print rows of a saved embedding table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from esmm_dist.errors import CheckpointError, ConfigError
from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.commands.checkpoints import refuse_missing_run
from launcher.json_line import json_value
from launcher.text_table import text_table

if TYPE_CHECKING:
    from esmm_dist.checkpoint.summary import SavedRow

_SHOWN_COLUMNS = 4


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """Print rows of a saved embedding table."""

    run: str
    """Folder of the run, a path or a URI."""

    ids: str
    """Feature ids, with commas between them: ``1,2,3``. With a negative one first, write ``--ids=-1,2``."""

    step: int | None = None
    """Step of the checkpoint. None: the newest."""

    table: str | None = None
    """Name of the table. None: the only one."""

    def __post_init__(self) -> None:
        refuse_missing_run(self.run)
        self.parsed_ids()

    def parsed_ids(self) -> list[int]:
        """Return the ids as numbers.

        Raises:
            ConfigError: One is no 64-bit integer.
        """
        try:
            ids = [int(part) for part in self.ids.split(",")]
        except ValueError as e:
            raise ConfigError(f"ids is '{self.ids}'. Give whole numbers with commas between them: 1,2,3.") from e
        for each in ids:
            if not -(2**63) <= each < 2**63:
                raise ConfigError(f"ids holds {each}, which is no 64-bit integer and so is the id of no feature.")
        return ids


def _run(settings: TableConfig, progress: Progress) -> Outcome:
    from esmm_dist.checkpoint.reader import newest_checkpoint, open_checkpoint
    from esmm_dist.checkpoint.summary import find_rows
    from esmm_dist.storage import Folder, without_credentials

    run = Folder.open(settings.run)
    checkpoint = newest_checkpoint(run, progress) if settings.step is None else open_checkpoint(run, settings.step)
    if checkpoint is None:
        shown = without_credentials(settings.run)
        raise CheckpointError(f"{run} holds no checkpoint. Train first: esmm train --data DATA --run {shown}")
    rows = find_rows(checkpoint, settings.table, settings.parsed_ids())
    lines = [
        f"{checkpoint.folder}",
        *text_table(["id", "row", "slot variables", "last step", "steps"], [_cells(row) for row in rows]),
    ]
    result = {"run": str(run), "step": checkpoint.manifest.step, "rows": rows}
    return Outcome(lines=lines, result=json_value(result))


def _cells(row: "SavedRow") -> list[str]:
    if row.row is None:
        return [str(row.id), "no row: reads its start value", "", "", ""]
    return [str(row.id), _first(row.row), _first(row.slots), f"{row.last_step:,}", f"{row.count:,}"]


def _first(values: list[float]) -> str:
    """Return the first of some values; all of them are in the JSON."""
    shown = " ".join(f"{value:.5g}" for value in values[:_SHOWN_COLUMNS])
    return f"{shown} … ({len(values)})" if len(values) > _SHOWN_COLUMNS else shown


COMMAND = Command(
    name="table",
    summary="Print rows of a saved embedding table, with their slot variables.",
    example="esmm table run --ids 1,2,3",
    load_settings=lambda: TableConfig,
    run=_run,
    positional=("run",),
)
