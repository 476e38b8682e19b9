"""What became of the rows of a raw log."""

from collections.abc import Mapping
from dataclasses import dataclass

from esmm_dist.reported import Reported

REJECTS_ENDING = ".rejects.jsonl"
"""Ending of the name of the rejects beside a file of scores"""


@dataclass(frozen=True, kw_only=True, repr=False)
class RawResult(Reported):
    """What became of the rows of a raw log."""

    path: str
    """The file or folder of scores."""
    rows: int
    """Rows with scores."""
    rejected: Mapping[str, int]
    """Rows without, by reason."""
    first_rejects: Mapping[str, str]
    """Where the first one of each reason stands, in the parts that were scored now."""
    rejects_path: str
    """Where they are listed."""
    parts: int
    """Files of scores."""
    kept_parts: int
    """Files that were there from before."""
    step: int
    """Step of the checkpoint that was used."""
    seconds: float
    scored_now: int
    """Rows that this call has read."""

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        rate = f" ({self.scored_now / max(self.seconds, 1e-9):,.0f} rows/s)" if self.scored_now else ""
        parts = f" in {self.parts:,} parts" if self.parts > 1 else ""
        lines = [f"Wrote {self.rows:,} predictions of the model at step {self.step} to {self.path}{parts}{rate}"]
        if self.kept_parts:
            lines.append(f"{self.kept_parts:,} part{'s were' if self.kept_parts > 1 else ' was'} there from before.")
        if self.rejected:
            count = sum(self.rejected.values())
            lines.append(
                f"{count:,} row{'s have' if count > 1 else ' has'} no prediction: "
                f"{reasons_shown(self.rejected, self.first_rejects)}. See {self.rejects_path}"
            )
        return lines


def reasons_shown(rejected: Mapping[str, int], first: Mapping[str, str]) -> str:
    """Return reasons with their counts, and where the first row of each stands as far as that is known."""
    return "; ".join(
        f"{reason} {count:,}" + (f", first in {first[reason]}" if reason in first else "")
        for reason, count in rejected.items()
    )
