"""Print the part of requirements.lock that running needs: all of it but what only the ``dev`` extra asks for.

    python3.11 launcher/setup/runtime_lock.py > build/runtime.lock

The lock says below each package what asked for it (``# via``). A package is needed if pyproject.toml's ``dependencies``
name it, or if a needed package asked for it. So an image and a developer's machine have one lock file, and the same
versions. Uses the standard library only: it runs before anything is installed.
"""

import re
import sys
import tomllib
from pathlib import Path

_PACKAGE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==")
_VIA = re.compile(r"^    #   (?P<by>[A-Za-z0-9._-]+)|^    # via (?P<only>[A-Za-z0-9._-]+)")


def runtime_lock(lock: str, pyproject: str) -> str:
    """Return the entries of a lock that running needs, in their order, with their hashes.

    Args:
        lock: Text of requirements.lock, as ``uv pip compile --generate-hashes`` writes it.
        pyproject: Text of pyproject.toml.

    Raises:
        ValueError: A dependency of pyproject.toml is not in the lock.
    """
    entries = _entries(lock)
    direct = {
        _plain(re.split(r"[^A-Za-z0-9._-]", text)[0]) for text in tomllib.loads(pyproject)["project"]["dependencies"]
    }
    missing = sorted(direct - entries.keys())
    if missing:
        raise ValueError(f"requirements.lock lacks {missing[0]}, which pyproject.toml depends on. Compile it again.")
    needed, before = direct, set[str]()
    while needed != before:
        before = needed
        needed = needed | {name for name, text in entries.items() if needed & _asked_by(text)}
    return "".join(text for name, text in entries.items() if name in needed)


def _entries(lock: str) -> dict[str, str]:
    """Return each package's lines, by its normal name."""
    entries: dict[str, str] = {}
    name = ""
    for line in lock.splitlines(keepends=True):
        found = _PACKAGE.match(line)
        if found:
            name = _plain(found["name"])
        if name:
            entries[name] = entries.get(name, "") + line
    return entries


def _asked_by(text: str) -> set[str]:
    found = (_VIA.match(line) for line in text.splitlines())
    return {_plain(match["by"] or match["only"]) for match in found if match}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    sys.stdout.write(
        runtime_lock(
            (root / "requirements.lock").read_text(encoding="utf-8"),
            (root / "pyproject.toml").read_text(encoding="utf-8"),
        )
    )
