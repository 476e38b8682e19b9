"""What the ends of the processes amount to: success, or one error that says which failed and how."""

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from esmm_dist.errors import EsmmError

INTERRUPTED = tuple(
    status for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) for status in (-number, 128 + number)
)
"""Exit statuses of a process that a stop signal ended before it could save."""


FOLLOWS = "another rank ended"
"""Part of the error of a worker that lost another one: it is the cause only if there is no other error."""

BY_RANK = re.compile(r"^(rank \d+ of \d+: )?(rank 0 failed: )?")
"""What stands before the error of a rank, and before an error of rank 0 that the others repeat; here the worker's name
says the rank."""


class LocalError(EsmmError):
    """A process of ``esmm local`` failed, or was stopped before it could save."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How one process ended."""

    name: str
    is_server: bool
    status: int
    """Exit status; minus the signal's number if a signal ended it."""
    sent: frozenset[signal.Signals] = frozenset()
    """Signals that it had been sent before it ended."""
    error: str = ""
    """The error that it wrote last, without ``esmm:``; may have several lines."""
    tail: tuple[str, ...] = ()
    """The last lines that it wrote."""

    @property
    def cause(self) -> str:
        """Return its error without the ranks in front."""
        return BY_RANK.sub("", self.error)

    @property
    def interrupted(self) -> bool:
        """Return whether it ended because of a signal that it was sent, without finishing its work."""
        return bool(self.sent) and self.status in INTERRUPTED

    @property
    def failed(self) -> bool:
        """Return whether it is at fault: a bad exit status, or a server that left its workers."""
        if self.interrupted:
            return False
        return self.status != 0 or (self.is_server and not self.sent)

    def describe(self, grace_s: float) -> str:
        """Return what happened, without its name."""
        if self.error:
            return self.cause
        if self.status == -signal.SIGKILL and signal.SIGKILL in self.sent:
            how = f"did not end within {grace_s:g} s of SIGTERM and was killed"
        elif self.status < 0:
            out_of_memory = " (kill -9, or the kernel for lack of memory: see dmesg)"
            how = f"was killed by {_signal_name(-self.status)}{out_of_memory if self.status == -signal.SIGKILL else ''}"
        else:
            how = f"ended with exit status {self.status}" + (" before the workers did" if self.status == 0 else "")
        if not self.tail:
            return f"{how}. It wrote nothing."
        return f"{how}. Its last lines:\n" + "\n".join(f"    {line}" for line in self.tail)


def problem(endings: Sequence[Ending], *, grace_s: float) -> LocalError | None:
    """Return the error that the endings amount to; None if every process did its work, or was asked to stop.

    Args:
        endings: how the processes ended, in the order in which they did
        grace_s: seconds that they had between SIGTERM and SIGKILL
    """
    failed = [e for e in endings if e.failed]
    # Those that were stopped because another had failed may well complain; the cause is what failed before.
    failed = [e for e in failed if not e.sent] or failed
    if not failed:
        return None
    failed = [e for e in failed if FOLLOWS not in e.error] or failed
    # A signal's victim first: its peers fail for want of it, and may be noticed earlier.
    failed.sort(key=lambda e: e.status > 0)
    status = next((e.status for e in failed if e.status > 0), 1)
    workers = [e for e in endings if not e.is_server]
    cause = failed[0].cause
    if cause and workers and all(e in failed and e.cause == cause for e in workers):
        return LocalError(cause, status)
    lines = [f"{e.name}{':' if e.error else ''} {e.describe(grace_s)}" for e in failed]
    if failed[0].status <= 0:
        lines.append("All others were stopped. A training goes on from its last checkpoint with the same command.")
    return LocalError("\n".join(lines), status)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
