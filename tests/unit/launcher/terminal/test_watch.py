"""A text that is refreshed until Ctrl-C."""

import io
from datetime import datetime

import pytest

from esmm_dist.errors import RetryError
from launcher.terminal.watch import read_and_watch, watch


class Terminal(io.StringIO):
    def isatty(self):
        return True


def watched(stream, states, *, end=KeyboardInterrupt):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if not states:
            raise end

    read = lambda: [f"state {states.pop(0)}"]  # noqa: E731
    watch(read, stream, every_s=2, sleep=sleep, now=lambda: datetime(2024, 1, 1, 12, 30, 5))
    return slept


def test_watching_shows_one_state_below_the_other_until_ctrl_c():
    out = io.StringIO()
    assert watched(out, [1, 2]) == [2, 2]
    head = "12:30:05, every 2 s; Ctrl-C ends"
    assert out.getvalue() == f"{head}\nstate 1\n\n{head}\nstate 2\n\n"


def test_watching_on_a_terminal_redraws_in_place_and_leaves_nothing():
    out = Terminal()
    watched(out, [1, 2])
    assert "state 1" in out.getvalue()
    assert "state 2" in out.getvalue()
    assert out.getvalue().endswith("\x1b[1A\x1b[2K")  # the last lines are erased


def test_watching_ends_with_the_error_of_a_server_that_has_gone():
    def read():
        raise RetryError("server 1/2 is gone.")

    with pytest.raises(RetryError, match="server 1/2 is gone"):
        watch(read, io.StringIO(), every_s=1, sleep=lambda seconds: None)


def test_without_a_period_a_state_is_read_once_and_nothing_is_shown():
    out, states = io.StringIO(), [1, 2]
    assert read_and_watch(lambda: states.pop(0), lambda state: [f"state {state}"], out, every_s=None) == 1
    assert (out.getvalue(), states) == ("", [2])


def test_what_was_read_last_is_returned_when_ctrl_c_ends_the_watching():
    states = [1, 2, 3]

    def read():
        if not states:
            raise KeyboardInterrupt
        return states.pop(0)

    out = io.StringIO()
    assert read_and_watch(read, lambda state: [f"state {state}"], out, every_s=1e-3) == 3
    # The first read only finds out whether there is something to watch
    assert [line for line in out.getvalue().splitlines() if line.startswith("state")] == ["state 2", "state 3"]
