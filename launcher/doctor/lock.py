"""Check the installed versions against the lock file."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from launcher.doctor.finding import Finding, failed, note, ok
from launcher.doctor.versions import installed_version

LOCK_FILE = Path(__file__).parents[2] / "requirements.lock"

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def check_lock(lock_file: Path = LOCK_FILE) -> Finding:
    """Compare what is installed with the lock file of the checkout. Takes about 0.1 s."""
    if not lock_file.is_file():
        return note("versions", "not compared: there is no requirements.lock beside the package")
    return judge_versions(read_pins(lock_file.read_text(encoding="utf-8")), installed_version)


def read_pins(text: str) -> dict[str, str]:
    """Return name -> version of every pin in a requirements file."""
    return dict(_PIN.findall(text))


def judge_versions(pins: Mapping[str, str], installed: Callable[[str], str | None]) -> Finding:
    """Judge installed versions against pins."""
    wrong = [
        f"{name} {installed(name) or 'missing'} (lock: {pin})" for name, pin in pins.items() if installed(name) != pin
    ]
    if not wrong:
        return ok("versions", f"all {len(pins)} packages have the versions of requirements.lock")
    shown = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
    text = f"{len(wrong)} of {len(pins)} packages differ from requirements.lock: {shown}"
    return failed("versions", text, "Run: make setup")
