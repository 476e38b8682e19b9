"""One command line among several."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command line."""

    name: str
    args: Sequence[str]
    """Words after ``esmm``."""
    why: str
    """One line that says what it is for."""

    @property
    def line(self) -> str:
        """Return the line as a user types it."""
        return shlex.join(["esmm", *self.args])
