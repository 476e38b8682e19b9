"""Which errors a connection answers with another try, and what it says when the time is over."""

import random
import threading

import pyarrow.flight as flight
import pytest

from esmm_dist.errors import CheckpointError, RetryError, ServerError, StorageError, WorkerLostError
from esmm_dist.parameter_server import channel as channel_module
from esmm_dist.parameter_server.channel import Channel, is_worth_another_try
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.parameter_server.refusals import NotReadyError, sent_to_client


class RowsGoneError(RetryError):
    """Stands for any retry class that a server may say in future: something else must happen first."""


@pytest.mark.parametrize(
    ("error", "is_answer", "takes_long", "again"),
    [
        (RetryError("reset"), False, False, True),
        (RetryError("reset"), False, True, True),
        (ServerError("TLS failed"), False, False, False),
        (NotReadyError("other ranks"), True, False, True),
        (NotReadyError("still at work"), True, True, True),
        (RetryError("busy"), True, False, True),
        (StorageError("full"), True, False, True),
        (StorageError("full"), True, True, False),  # remembered under the call's id: it would be the same one
        (WorkerLostError("gone"), True, False, False),
        (RowsGoneError("gone"), True, False, False),
        (ServerError("another run"), True, False, False),
        (CheckpointError("damaged"), True, True, False),
    ],
)
def test_only_the_network_and_busy_moments_are_worth_another_try(error, is_answer, takes_long, again):
    assert is_worth_another_try(error, is_answer=is_answer, takes_long=takes_long) == again


def test_a_last_try_that_times_out_does_not_hide_what_the_server_waits_for():
    tries = []

    def call(client, options):
        tries.append(options)
        if len(tries) == 1:
            with sent_to_client(print):
                raise NotReadyError("a pull for step 4 waits for step 1")
        raise flight.FlightTimedOutError("Deadline Exceeded")

    channel = Channel(ConnectionConfig(servers="127.0.0.1:1", server_timeout_s=0.4), 0)
    with pytest.raises(RetryError, match=r"Deadline Exceeded.* it answered: .*a pull for step 4 waits for step 1\.$"):
        channel.call(call)
    assert len(tries) > 1


class Clock(threading.Event):
    """Time that passes only where it is said to; stands for the module ``time`` and for a channel's interrupt."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def wait(self, timeout: float | None = None) -> bool:
        self.now_s += timeout or 0.0
        return False


@pytest.mark.parametrize("seed", range(20))  # pauses are drawn at random
def test_each_try_has_twice_the_time_that_a_server_takes_to_say_that_it_waits(monkeypatch, seed):
    clock, begun_s, total_s = Clock(), [], 8.0
    monkeypatch.setattr(channel_module, "time", clock)
    monkeypatch.setattr(channel_module, "random", random.Random(seed))
    channel = Channel(ConnectionConfig(servers="127.0.0.1:1", server_timeout_s=total_s), 0, clock)
    assert channel.patience_s == 0.5

    def call(client, options):
        begun_s.append(clock.now_s)
        clock.wait(channel.patience_s)
        with sent_to_client(print):
            raise NotReadyError("a pull for step 4 waits for step 1")

    with pytest.raises(RetryError, match=r"waits for step 1; waited 8 s \(--server-timeout-s\)"):
        channel.call(call)
    assert len(begun_s) > 10
    assert total_s - begun_s[-1] >= 2 * channel.patience_s
