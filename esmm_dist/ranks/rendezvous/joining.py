"""A worker's side of the rendezvous: found in the environment, reported to the driver, and followed for changes."""

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
"""Seconds without an answer after which a worker asks for changes anew; the driver answers within 10."""

PAUSE_S = 1.0
"""Seconds between two requests to a driver that does not answer."""


def own_rendezvous(token_file: Path | None) -> RendezvousClient | None:
    """Return calls to the rendezvous that the environment names; None if it names none of this project's.

    Args:
        token_file: file with the job's secret

    Raises:
        ConfigError: The variable is malformed, or the token is missing.
        RetryError: The rendezvous does not answer, or has another token.
    """
    text = os.environ.get(PLACE, "")
    if not text:
        return None
    place, token = RendezvousPlace.read(text), read_token(token_file)
    if token is None:
        raise ConfigError(
            f"The ranks' rendezvous is at {place.host}:{place.port}, where each must show the job's token, and there "
            "is none. Give --token-file with the token of the driver."
        )
    client = RendezvousClient(place, token)
    client.call("GET", "/", timeout_s=FIRST_CALL_S)  # with a wrong token Horovod would abort without a word
    return client


def join_ranks(rendezvous: RendezvousClient, name: str, on_change: Callable[[], None]) -> None:
    """Report to the driver that this worker is connected to all others, and follow its announcements of other ranks.

    Args:
        rendezvous: client of the driver's rendezvous
        name: HOST:LOCAL_RANK of this worker
        on_change: called from another thread at each announcement, until the process ends

    Raises:
        RetryError: The driver does not answer.
    """
    calls = rendezvous.another()
    calls.call("PUT", f"/joined/{name}", timeout_s=FIRST_CALL_S)
    threading.Thread(target=_follow_changes, args=(calls, name, on_change), name="rank-changes", daemon=True).start()


def _follow_changes(calls: RendezvousClient, name: str, on_change: Callable[[], None]) -> None:
    """Ask for the number of announcements, over and over; each request waits at the driver until there is one more."""
    seen = 0
    while True:
        try:
            reply = calls.call("GET", f"/changes/{name}:{seen}", timeout_s=CHANGES_S)
        except RetryError:  # the driver is gone; the one that comes starts this process again
            time.sleep(PAUSE_S)
            continue
        if reply.status != 200:  # the driver has forgotten this worker
            return
        if (found := int(reply.body)) > seen:
            seen = found
            on_change()
