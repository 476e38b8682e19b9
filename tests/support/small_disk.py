"""A disk that is soon full, for tests."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from esmm_dist.progress import NoProgress


@contextmanager
def small_disk(place: Path, *, kilobytes: int) -> Iterator[Path]:
    """Mount a file system of so many kB at a new folder; skip the test where that is not allowed."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield place
    finally:
        # lazily: a training that failed may have files open there, and its own error is what must be told
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write into a folder, root neither; skip the test where that is not allowed."""
    mounts = [["mount", "--bind", str(folder), str(folder)], ["mount", "-o", "remount,ro,bind", str(folder)]]
    if os.geteuid() or any(subprocess.run(each, stderr=subprocess.DEVNULL).returncode for each in mounts):
        pytest.skip("only root can make a folder read-only for all")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class FillsDisk(NoProgress):
    """Watches a training, and lets its disk be full while the steps done are in a range."""

    def __init__(self, place: Path, full: range, *, before_room: Callable[[], None]) -> None:
        """Remember where and when; ``before_room`` is called before there is room again."""
        self.texts: list[str] = []
        self._ballast, self._full, self._before_room = place / "ballast", full, before_room
        self._steps, self._task = 0.0, ""

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        self._steps, self._task = 0.0, task
        self.advance(done)

    def advance(self, amount: float, note: str = "") -> None:
        if self._task != "Training":
            return
        self._steps += amount
        if self._steps in self._full:
            fill(self._ballast)
        elif self._ballast.exists():
            self._before_room()
            self._ballast.unlink()

    def message(self, text: str) -> None:
        self.texts.append(text)


def fill(ballast: Path) -> None:
    """Write a file until the disk is full; what is freed later is taken again by the next call."""
    with ballast.open("ab", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError as e:
            if e.errno != errno.ENOSPC:
                raise
