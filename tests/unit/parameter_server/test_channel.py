"""Which errors a connection answers with another try."""

import pytest

from esmm_dist.errors import CheckpointError, RetryError, ServerError, StorageError, WorkerLostError
from esmm_dist.parameter_server.channel import is_worth_another_try
from esmm_dist.parameter_server.refusals import NotReadyError


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
