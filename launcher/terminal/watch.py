"""Refresh a text until Ctrl-C: in place on a terminal, one text below the other elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TextIO, TypeVar

from rich.console import Console
from rich.live import Live
from rich.text import Text

Found = TypeVar("Found")


def watch(
    read: Callable[[], Sequence[str]],
    stream: TextIO,
    *,
    every_s: float,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = datetime.now,
) -> None:
    """Show the lines that ``read`` returns, every few seconds, until KeyboardInterrupt, which ends it quietly.

    Args:
        read: returns the current lines; what it raises is passed on
        stream: shows the lines
        every_s: seconds between two refreshes
        sleep: waits for a number of seconds
        now: returns the time that stands above the lines
    """
    with contextlib.suppress(KeyboardInterrupt), _shower(stream) as show:
        while True:
            show([f"{now():%H:%M:%S}, every {every_s:g} s; Ctrl-C ends", *read()])
            sleep(every_s)


def read_and_watch(
    read: Callable[[], Found], lines: Callable[[Found], Sequence[str]], stream: TextIO, *, every_s: float | None
) -> Found:
    """Read something once, or refresh it until KeyboardInterrupt; return what was read last.

    Args:
        read: returns the current state
        lines: returns the lines that show a state
        stream: shows the lines
        every_s: seconds between two refreshes; None: read once and show nothing
    """
    found = read()
    if every_s is None:
        return found

    def read_lines() -> Sequence[str]:
        nonlocal found
        found = read()
        return lines(found)

    watch(read_lines, stream, every_s=every_s)
    return found


@contextlib.contextmanager
def _shower(stream: TextIO) -> Iterator[Callable[[Sequence[str]], None]]:
    if not stream.isatty():
        yield lambda lines: print("\n".join([*lines, ""]), file=stream, flush=True)
        return
    # Removed at the end: the last state is then printed as the command's report
    with Live(console=Console(file=stream, highlight=False), auto_refresh=False, transient=True) as live:
        yield lambda lines: live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)
