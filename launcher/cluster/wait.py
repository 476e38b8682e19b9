"""Wait for a job to come to a state, and say meanwhile what it does and what holds it up."""

import time
from collections.abc import Callable

from esmm_dist.errors import RetryError
from esmm_dist.progress import Progress
from launcher.cluster.api import Api
from launcher.cluster.status import Seen, look, ready_pods, troubles_of

LOOK_S = 1.0
SAY_S = 15.0
"""So often it is said how things stand, also if nothing has changed."""


def wait_for(
    api: Api,
    job: str,
    reached: Callable[[Seen], bool],
    *,
    what: str,
    wait_s: float,
    progress: Progress,
    sleep: Callable[[float], None] = time.sleep,
) -> Seen:
    """Look at a job each second until something is so.

    Args:
        api: The cluster.
        job: Its name.
        reached: Whether it is so. What it raises is passed on.
        what: What is waited for, for messages: ``3 workers train``.
        wait_s: Seconds to wait.
        progress: Told the job's state and troubles when they change, and every 15 s.
        sleep: Waits so many seconds.

    Raises:
        RetryError: It is not so within the time; the message has the troubles.
    """
    start = said_at = time.monotonic()
    said = ""
    while True:
        seen = look(api, job)
        if reached(seen):
            return seen
        now = time.monotonic()
        text, troubles = _standing(seen), troubles_of(seen)
        if now >= start + wait_s:
            raise RetryError(
                f"Job {job}: after {wait_s:g} s it is not so yet that {what} ({text}). "
                f"{''.join(f'{each}. ' for each in troubles)}It goes on by itself; look at esmm status {job}."
            )
        whole = "; ".join([text, *troubles])
        if whole != said or now >= said_at + SAY_S:
            said, said_at = whole, now
            progress.message(f"{now - start:4.0f} s: {whole}")
        sleep(LOOK_S)


def _standing(seen: Seen) -> str:
    parts = [seen.state]
    if seen.status is not None and not seen.ended:
        parts.append(f"{seen.status.ranks} ranks, step {seen.status.step:,}")
    parts += [f"{kind} {text}" for kind, text in ready_pods(seen).items()]
    return ", ".join(parts)
