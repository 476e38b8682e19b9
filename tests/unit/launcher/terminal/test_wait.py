"""Waiting for a state: when it ends, and what is reported meanwhile."""

import re
from collections.abc import Iterator

import pytest

from esmm_dist.errors import ConfigError, RetryError
from esmm_dist.progress import NoProgress
from launcher.terminal.wait import Wait


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def messages() -> Messages:
    return Messages()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def until(states: Iterator[str], wait: Wait, *, every_s: float = 1.0) -> str:
    return wait.until(
        lambda: next(states),
        lambda state: state == "done",
        what="it is done",
        describe=lambda state: f"it is {state}",
        remedy="Wait longer.",
        every_s=every_s,
    )


def make(clock: Clock, messages: Messages, timeout_s: float = 60.0) -> Wait:
    return Wait(timeout_s=timeout_s, progress=messages, sleep=clock.sleep, clock=clock, started_at=clock())


def test_a_state_that_is_reached_at_once_is_returned_without_a_word(clock, messages):
    assert until(iter(["done"]), make(clock, messages)) == "done"
    assert (messages.texts, clock.now) == ([], 100.0)


def test_a_state_is_reported_when_it_changes(clock, messages):
    wait = make(clock, messages)
    until(iter(["slow", "slow", "slower", "done"]), wait)
    assert messages.texts == ["   0 s: it is slow", "   2 s: it is slower"]
    assert wait.elapsed_s == 3.0


def test_a_state_that_lasts_is_reported_every_fifteen_seconds(clock, messages):
    until(iter(["slow"] * 10 + ["done"]), make(clock, messages), every_s=5.0)
    assert messages.texts == [f"{seconds:4} s: it is slow" for seconds in (0, 15, 30, 45)]


def test_a_timeout_says_what_was_waited_for_and_the_last_state(clock, messages):
    expected = "Timed out after 2 s waiting until it is done (it is 3). Wait longer."
    with pytest.raises(RetryError, match=f"^{re.escape(expected)}$"):
        until(map(str, range(1, 100)), make(clock, messages, 2.0))
    assert messages.texts == ["   0 s: it is 1", "   1 s: it is 2"]


def test_the_state_is_read_once_more_when_the_time_is_up(clock, messages):
    assert until(iter(["slow", "done"]), make(clock, messages, 1.0), every_s=5.0) == "done"


def test_what_the_check_raises_ends_the_wait(clock, messages):
    def refuse(state: str) -> bool:
        raise ConfigError(f"{state} is no good")

    with pytest.raises(ConfigError, match="slow is no good"):
        make(clock, messages).until(
            lambda: "slow", refuse, what="it is done", describe=str, remedy="Wait longer.", every_s=1.0
        )


def test_a_state_of_others_cannot_forge_lines(clock, messages):
    with pytest.raises(RetryError, match=r"it is a\\nb"):
        until(iter(["a\nb"] * 2), make(clock, messages, 0.5))
    assert messages.texts == ["   0 s: it is a\\nb"]
