"""Calls that fail for a while are made again, after which pauses and for how long. Time is faked."""

from itertools import islice, repeat
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.process.retry import doubling, retry


class BusyError(Exception):
    """May pass."""


class Failing:
    """Raises the errors one after the other, then returns how often it was called; each call takes ``call_s``."""

    def __init__(self, *errors: Exception, call_s: float = 0.0) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.now = 100.0
        self.pauses: list[float] = []
        self._call_s = call_s

    def __call__(self) -> int:
        self.calls += 1
        self.now += self._call_s
        if self.errors:
            raise self.errors.pop(0)
        return self.calls

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def failing(monkeypatch):
    def make(*errors: Exception, call_s: float = 0.0) -> Failing:
        found = Failing(*errors, call_s=call_s)
        monkeypatch.setattr("esmm_dist.process.retry.time", SimpleNamespace(monotonic=lambda: found.now))
        return found

    return make


def test_a_call_that_succeeds_is_made_once_and_waits_for_nothing(failing):
    call = failing()
    assert retry(call, BusyError, repeat(1.0), sleep=call.sleep) == 1
    assert call.pauses == []


def test_it_is_made_again_after_each_pause_until_it_succeeds(failing):
    call = failing(BusyError(), BusyError())
    assert retry(call, BusyError, [2.0, 10.0, 50.0], sleep=call.sleep) == 3
    assert call.pauses == [2.0, 10.0]


@pytest.mark.parametrize("pauses", [(), (2.0,), (2.0, 10.0)])
def test_so_many_pauses_allow_one_more_call_and_the_last_error_is_raised_as_it_is(failing, pauses):
    errors = [BusyError(str(number)) for number in range(9)]
    call = failing(*errors)
    with pytest.raises(BusyError) as caught:
        retry(call, BusyError, pauses, sleep=call.sleep)
    assert caught.value is errors[len(pauses)]
    assert call.calls == len(pauses) + 1
    assert call.pauses == list(pauses)  # none after the last call


def test_an_error_of_another_kind_is_raised_at_once(failing):
    call = failing(BusyError(), ValueError("wrong"), BusyError())
    with pytest.raises(ValueError, match="wrong"):
        retry(call, BusyError, repeat(1.0), sleep=call.sleep)
    assert call.calls == 2


def test_an_error_of_a_class_below_may_pass_too(failing):
    call = failing(ConnectionResetError(), BrokenPipeError())
    assert retry(call, OSError, repeat(1.0), sleep=call.sleep) == 3


@pytest.mark.parametrize(
    ("call_s", "calls"),
    [
        (0.0, 4),  # at 0, 3, 6 and 9 s; the failure at 9 s is more than 8 s after the start
        (5.0, 2),  # fail at 5 and at 5 + 3 + 5 = 13 s
        (9.0, 1),  # the first failure is late already
    ],
)
def test_no_other_call_is_made_once_the_time_is_over(failing, call_s, calls):
    call = failing(*(BusyError() for _ in range(9)), call_s=call_s)
    with pytest.raises(BusyError):
        retry(call, BusyError, repeat(3.0), within_s=8.0, sleep=call.sleep)
    assert call.calls == calls


def test_each_failure_that_is_followed_by_a_pause_is_told_with_it(failing):
    failures = []
    call = failing(BusyError("a"), BusyError("b"), BusyError("c"))
    with pytest.raises(BusyError, match="c"):
        retry(
            call,
            BusyError,
            [1.0, 2.0],
            sleep=call.sleep,
            on_failure=lambda e, pause_s: failures.append((str(e), pause_s)),
        )
    assert failures == [("a", 1.0), ("b", 2.0)]  # and "c" is raised


def test_what_the_listener_raises_ends_the_calls(failing):
    def refuse(error: Exception, pause_s: float) -> None:
        raise error

    call = failing(BusyError("refused"))
    with pytest.raises(BusyError, match="refused"):
        retry(call, BusyError, repeat(1.0), sleep=call.sleep, on_failure=refuse)
    assert (call.calls, call.pauses) == (1, [])


def test_pauses_double_up_to_the_longest():
    assert list(islice(doubling(0.5, longest_s=3.0), 6)) == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]
    assert list(islice(doubling(2.0), 4)) == [2.0, 4.0, 8.0, 16.0]
    assert next(doubling(5.0, longest_s=3.0)) == 3.0


@given(failures=st.integers(0, 6), pauses=st.lists(st.floats(0.0, 100.0), max_size=6))
def test_whatever_fails_how_often_each_failure_uses_up_one_pause(failures, pauses):
    call = Failing(*(BusyError() for _ in range(failures)))
    succeeds = failures <= len(pauses)
    if succeeds:
        assert retry(call, BusyError, pauses, sleep=call.sleep) == failures + 1
    else:
        with pytest.raises(BusyError):
            retry(call, BusyError, pauses, sleep=call.sleep)
    assert call.pauses == pauses[:failures]
    assert call.calls == min(failures, len(pauses)) + 1


@given(st.floats(0.001, 100.0), st.floats(0.001, 100.0))
def test_pauses_never_shrink_and_never_exceed_the_longest(first_s, longest_s):
    pauses = list(islice(doubling(first_s, longest_s=longest_s), 20))
    assert pauses == sorted(pauses)
    assert pauses[0] == min(first_s, longest_s)
    assert max(pauses) == longest_s or max(pauses) == first_s * 2**19
