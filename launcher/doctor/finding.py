"""What one check found."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "note", "failed"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check."""

    name: str
    status: Status
    """``note``: it works, but the reader should know; ``failed``: something will not work."""

    text: str
    """What was found."""

    remedy: str = ""
    """How to fix it; empty if there is nothing to fix."""


def ok(name: str, text: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(name=name, status="ok", text=text)


def note(name: str, text: str, remedy: str = "") -> Finding:
    """Return a finding that the reader should know of."""
    return Finding(name=name, status="note", text=text, remedy=remedy)


def failed(name: str, text: str, remedy: str) -> Finding:
    """Return a finding that must be fixed."""
    return Finding(name=name, status="failed", text=text, remedy=remedy)


def finding_lines(finding: Finding) -> list[str]:
    """Return the lines that show a finding."""
    mark = {"ok": "ok    ", "note": "note  ", "failed": "FAILED"}[finding.status]
    lines = [f"{mark}  {finding.name}: {finding.text}"]
    return [*lines, f"        -> {finding.remedy}"] if finding.remedy else lines
