"""What one check found."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "note", "failed"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check."""

    name: str
    status: Status
    """``note``: works, but the reader should know; ``failed``: something will not work."""

    text: str
    """What was found."""

    remedy: str = ""
    """What to do about it; empty if there is nothing to do."""


def finding_lines(finding: Finding) -> list[str]:
    """Return the lines that show a finding."""
    mark = {"ok": "ok    ", "note": "note  ", "failed": "FAILED"}[finding.status]
    lines = [f"{mark}  {finding.name}: {finding.text}"]
    return [*lines, f"        -> {finding.remedy}"] if finding.remedy else lines
