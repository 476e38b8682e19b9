"""``esmm table``: print rows of a saved embedding table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from esmm_dist.errors import ConfigError
from esmm_dist.text_table import text_table
from launcher.command import CommandContext, Outcome
from launcher.commands.checkpoints import refuse_missing_run
from launcher.terminal.json_line import json_value

if TYPE_CHECKING:
    from esmm_dist.checkpoint.choice import CheckpointChoice
    from esmm_dist.checkpoint.summary import SavedRow
    from esmm_dist.schema.fields import Schema

_SHOWN_COLUMNS = 4


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """Print rows of a saved embedding table."""

    run: str
    """Folder of the run, a path or a URI; RUN:STEP names one of its checkpoints."""

    ids: str | None = None
    """Feature ids, separated by commas: ``1,2,3``. If the first one is negative, write ``--ids=-1,2``."""

    field: str | None = None
    """Field of ``value``, by its name or alias in the schema."""

    value: str | None = None
    """Value of ``field`` as it stands in the log: the row of its feature id is shown."""

    step: int | None = None
    """Step of the checkpoint. None: the newest."""

    table: str | None = None
    """Name of the table. None: the table of ``field``, or the only one."""

    def __post_init__(self) -> None:
        refuse_missing_run(self.checkpoint.run)
        if (self.field is None) != (self.value is None):
            raise ConfigError("field and value belong together: --field user_id --value 111.")
        if (self.field is None) == (self.ids is None):
            raise ConfigError("Set either ids or field and value: --ids 1,2,3, or --field user_id --value 111.")
        if self.ids is not None:
            self.parsed_ids(self.ids)

    @property
    def checkpoint(self) -> "CheckpointChoice":
        """The checkpoint that holds the rows."""
        from esmm_dist.checkpoint.choice import CheckpointChoice

        return CheckpointChoice.parse(self.run, self.step)

    def parsed_ids(self, ids: str) -> list[int]:
        """Return the ids as numbers.

        Raises:
            ConfigError: one is not a 64-bit integer
        """
        try:
            found = [int(part) for part in ids.split(",")]
        except ValueError as e:
            raise ConfigError(f"ids is '{ids}'. Give whole numbers separated by commas: 1,2,3.") from e
        for each in found:
            if not -(2**63) <= each < 2**63:
                raise ConfigError(f"ids holds {each}, but feature ids are 64-bit integers.")
        return found

    def of_schema(self, schema: "Schema") -> tuple[str | None, list[int]]:
        """Return the table's name and the ids to look up.

        Raises:
            ConfigError: the schema has no such field, it is in another table than ``table``, or the value has no
                feature id
        """
        if self.field is None or self.value is None:
            assert self.ids is not None
            return self.table, self.parsed_ids(self.ids)
        from esmm_dist.schema.value_ids import field_of_name, id_of_value

        table = field_of_name(schema, self.field).table
        if self.table not in (None, table):
            raise ConfigError(f"table is '{self.table}', but field '{self.field}' is in '{table}'. Leave table out.")
        return table, [id_of_value(schema, self.field, self.value)]


def table_command(settings: TableConfig, context: CommandContext) -> Outcome:
    """Print rows of a saved embedding table."""
    from esmm_dist.checkpoint.summary import find_rows
    from esmm_dist.storage.folder import Folder

    run = Folder.open(settings.checkpoint.run)
    checkpoint = settings.checkpoint.restore(context.progress, lambda checkpoint: None)
    rows = find_rows(checkpoint, *settings.of_schema(checkpoint.manifest.schema))
    lines = [
        f"{checkpoint.folder}",
        *text_table(["id", "row", "slot variables", "last step", "steps"], [_cells(row) for row in rows]),
    ]
    result = {"run": str(run), "step": checkpoint.manifest.step, "rows": rows}
    return Outcome(lines=lines, result=json_value(result))


def _cells(row: "SavedRow") -> list[str]:
    if row.row is None:
        return [str(row.id), "no row yet: reads the start value", "", "", ""]
    return [str(row.id), _first(row.row), _first(row.slots), f"{row.last_step:,}", f"{row.count:,}"]


def _first(values: list[float]) -> str:
    """Return the first few values as text; the JSON has all of them."""
    shown = " ".join(f"{value:.5g}" for value in values[:_SHOWN_COLUMNS])
    return f"{shown} … ({len(values)})" if len(values) > _SHOWN_COLUMNS else shown
