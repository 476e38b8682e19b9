"""Make a call again, after a pause, while it fails with errors that may pass."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


def doubling(first_s: float, *, longest_s: float = float("inf")) -> Iterator[float]:
    """Yield pauses without end: ``first_s``, then each twice the one before, up to ``longest_s``."""
    pause_s = min(first_s, longest_s)
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, longest_s)


def retry(
    call: Callable[[], T],
    errors: type[E],
    pauses_s: Iterable[float],
    *,
    within_s: float = float("inf"),
    on_failure: Callable[[E, float], object] = lambda error, pause_s: None,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return what ``call`` returns; call again after a pause while it raises an error that may pass.

    The first call is made at once and each failure uses up one pause, so two pauses allow three calls. A failure after
    the last pause, or more than ``within_s`` after the first call, is raised as it is. The time is checked before a
    pause, not during a call: a call that hangs must limit itself.

    Args:
        call: what to do
        errors: class of the errors that may pass; others are raised at once
        pauses_s: seconds between two calls, one after the other
        within_s: seconds from the first call after which no other is made
        on_failure: receives the error and the pause before each pause; what it raises ends the calls
        sleep: waits so many seconds
    """
    give_up_at = time.monotonic() + within_s
    pauses = iter(pauses_s)
    while True:
        try:
            return call()
        except errors as e:
            pause_s = next(pauses, None)
            if pause_s is None or time.monotonic() >= give_up_at:
                raise
            on_failure(e, pause_s)
        sleep(pause_s)
