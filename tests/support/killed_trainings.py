"""Commands that run trainings, killed in the middle: wait for the moment, and for the end of what they ran."""

import fcntl
from pathlib import Path
from subprocess import Popen
from typing import Any

from tests.support.agent_process import wait_for


def wait_for_checkpoint(run: Path, process: Popen[bytes]) -> None:
    """Wait for the first checkpoint of a run that a process trains."""

    def there() -> bool:
        assert process.poll() is None
        return any((run / "checkpoints").glob("step-*"))

    wait_for(there, "checkpoint")


def wait_for_end(run: Path) -> None:
    """Wait until no process holds a run: the training has gone with the command that was killed."""
    with (run / ".lock").open("ab") as lock:
        wait_for(lambda: _is_free(lock), "end of the training")


def _is_free(lock: Any) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(lock, fcntl.LOCK_UN)
    return True
