"""``esmm doctor``: check the machine and the installed libraries, and say how to fix each failure."""

from dataclasses import dataclass
from pathlib import Path

from launcher.command import CommandContext, Outcome
from launcher.doctor.finding import finding_lines
from launcher.doctor.libraries import check_libraries
from launcher.doctor.lock import check_lock
from launcher.doctor.machine import check_machine
from launcher.terminal.json_line import json_value


@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """Check the machine and the installed libraries."""

    folder: Path = Path()
    """Folder whose disk is checked. The current folder by default, because relative output paths lead there."""


def doctor_command(settings: DoctorConfig, context: CommandContext) -> Outcome:
    """Run all checks and report what they found."""
    context.progress.start("checking the machine and the libraries", None, "checks")
    findings = [*check_machine(settings.folder), check_lock(), *check_libraries()]
    context.progress.finish()
    failed = sum(finding.status == "failed" for finding in findings)
    lines = [line for finding in findings for line in finding_lines(finding)]
    lines.append(f"{failed} of {len(findings)} checks failed." if failed else f"All {len(findings)} checks passed.")
    return Outcome(lines=lines, result={"ok": not failed, "checks": json_value(findings)}, done=not failed)
