"""What an export has written."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from esmm_dist.inference.auc_change import AucChange
from esmm_dist.inference.delta_rows import DeltaRows
from esmm_dist.reported import Reported
from esmm_dist.served_model.version_folders import is_version_name


@dataclass(frozen=True, kw_only=True, repr=False)
class ExportResult(Reported):
    """What was written."""

    path: str
    step: int
    """Step of the checkpoint that was used."""
    rows: dict[str, int]
    """Rows of each table."""
    folder_bytes: int
    seconds: float
    value_inputs: tuple[str, ...] = ()
    """Inputs of the signature ``values``; none where there is no SavedModel."""
    model_id: str = ""
    """Names the content, see ``esmm_dist.served_model.manifest``."""
    rows_left_out: dict[str, int] = field(default_factory=dict)
    """Rows that were not exported: ``rare`` ones, and those ``of_other_fields``."""
    auc_change: AucChange | None = None
    """What ``dtype``, ``min_count`` and ``fields`` change; None: nothing does, or it was not measured."""
    delta: DeltaRows | None = None
    """What a delta changes; None: a whole version was written."""
    notes: tuple[str, ...] = ()
    """What else there is to know, a line each."""

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        lines = [
            f"Wrote the model at step {self.step} with {sum(self.rows.values()):,} rows to {self.path} "
            f"({self.folder_bytes / 1e6:,.1f} MB, {self.seconds:.1f} s)",
            *([self.delta.line()] if self.delta is not None else []),
            *self._of_left_out(),
            *(self.auc_change.lines() if self.auc_change is not None else []),
            *self.notes,
        ]
        if self.value_inputs:
            loaded = f'tf.saved_model.load("{self.path}")'
            lines += [
                f'Load it with TensorFlow alone: {loaded}.signatures["values"]',
                f"It takes the columns of the log, with the number of impressions of each user context: "
                f"{', '.join(self.value_inputs)}.",
                f'{loaded}.signatures["serving_default"] takes records.',
            ]
        return [*lines, f"Serve it over HTTP: esmm serve {shlex.quote(self._served())}"]

    def _served(self) -> str:
        """Return what ``esmm serve`` takes: the folder of versions, or the model itself if its name is no version."""
        path = Path(self.path)
        return str(path.parent) if is_version_name(path.name) else self.path

    def _of_left_out(self) -> list[str]:
        rare, others = self.rows_left_out.get("rare", 0), self.rows_left_out.get("of_other_fields", 0)
        parts = [f"{rare:,} rows that too few steps had changed"] if rare else []
        parts += [f"{others:,} rows of fields that it does not use"] if others else []
        if not parts:
            return []
        return [f"Left out {' and '.join(parts)}: their ids read the start value; in values they count as unknown."]
