"""Which errors a connection answers with another try, and what it says when the time is over."""

import pyarrow.flight as flight
import pytest

from esmm_dist.errors import CheckpointError, RetryError, ServerError, StorageError, WorkerLostError
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
