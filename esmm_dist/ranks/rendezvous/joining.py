"""A worker's place among ranks that change: found in the environment, told to the driver, and watched for changes."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from esmm_dist.errors import ConfigError, RetryError
from esmm_dist.ranks.rendezvous.client import RendezvousClient
from esmm_dist.ranks.rendezvous.signing import PLACE, RendezvousPlace
from esmm_dist.storage.secret_file import read_token

FIRST_CALL_S = 30.0
"""Seconds that the rendezvous may take to answer this process for the first time."""

CHANGES_S = 30.0
"""Seconds without an answer after which the question for changes is asked anew; the driver answers within 10."""

PAUSE_S = 1.0
"""Between two questions to a driver that does not answer."""


def own_rendezvous(token_file: Path | None) -> RendezvousClient | None:
    """Return calls to the rendezvous that the environment names; None if it names none of this project's.

    Args:
        token_file: Holds the job's secret.

    Raises:
        ConfigError: The variable is malformed, or the token is missing.
        RetryError: The rendezvous does not answer, or knows another token.
    """
    text = os.environ.get(PLACE, "")
    if not text:
        return None
    place, token = RendezvousPlace.read(text), read_token(token_file)
    if token is None:
        raise ConfigError(
            f"The ranks meet at {place.host}:{place.port}, where each must show the job's token, and there is none. "
            "Give --token-file with the token of the driver."
        )
    client = RendezvousClient(place, token)
    client.call("GET", "/", timeout_s=FIRST_CALL_S)  # else a wrong token would be an abort of Horovod's, without a word
    return client


def join_ranks(rendezvous: RendezvousClient, name: str, on_change: Callable[[], None]) -> None:
    """Tell the driver that this worker has met the others, and have it tell of other ranks that are to meet.

    Args:
        rendezvous: Calls to the driver.
        name: HOST:LOCAL_RANK of this worker.
        on_change: Called from another thread, at each announcement, until the process ends.

    Raises:
        RetryError: The driver does not answer.
    """
    calls = rendezvous.another()
    calls.call("PUT", f"/joined/{name}", timeout_s=FIRST_CALL_S)
    threading.Thread(target=_hear, args=(calls, name, on_change), name="rank-changes", daemon=True).start()


def _hear(calls: RendezvousClient, name: str, on_change: Callable[[], None]) -> None:
    """Ask for the number of announcements, over and over; each question waits at the driver until there is one more."""
    heard = 0
    while True:
        try:
            reply = calls.call("GET", f"/changes/{name}:{heard}", timeout_s=CHANGES_S)
        except RetryError:  # the driver is gone; the one that comes starts this process again
            time.sleep(PAUSE_S)
            continue
        if reply.status != 200:  # the driver has forgotten this worker
            return
        if (found := int(reply.body)) > heard:
            heard = found
            on_change()
