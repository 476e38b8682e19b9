"""Ask an elastic run for another number of workers, and wait until it has it."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from esmm_dist.errors import ConfigError, RetryError
from esmm_dist.escaped import one_line
from esmm_dist.progress import Progress
from esmm_dist.storage.folder import Folder
from launcher.run_files.run_status import RunStatus, ScaleWish, read_status, write_wish
from launcher.run_files.scale_config import ScaleConfig
from launcher.run_files.status_lines import is_stale

LOOK_S = 0.25


@dataclass(frozen=True, kw_only=True)
class ScaleResult:
    """What became of it."""

    workers: int
    """That train now, or were asked for if nobody waited."""
    before: int
    seconds: float
    """From the wish to its fulfilment."""


def scale(config: ScaleConfig, progress: Progress, *, sleep: Callable[[float], None] = time.sleep) -> ScaleResult:
    """Ask, and wait.

    Raises:
        ConfigError: There is no such run, it does not run, or the number is out of its bounds.
        RetryError: So many workers do not train within the time.
    """
    run = Folder.open(config.run)
    status = read_status(run)
    _check(config, status)
    asked_at = time.time()
    write_wish(run, ScaleWish(workers=config.workers, id=secrets.token_hex(8)))
    start = time.monotonic()
    told = ""
    while config.wait_s and not trains(read_status(run), config.workers, asked_at):
        if time.monotonic() >= start + config.wait_s:
            raise RetryError(
                f"{run}: {config.workers} workers are asked for, and {read_status(run).ranks} train after "
                f"{config.wait_s:g} s. It goes on by itself; look at esmm status {config.run}."
            )
        if read_status(run).ended:
            raise ConfigError(f"{run} has ended meanwhile ({read_status(run).state}); there is nothing to scale.")
        if (states := _states(read_status(run))) != told:
            told = states
            progress.message(f"{time.monotonic() - start:4.0f} s: {one_line(states)}")
        sleep(LOOK_S)
    return ScaleResult(workers=config.workers, before=status.ranks, seconds=round(time.monotonic() - start, 1))


def _check(config: ScaleConfig, status: RunStatus) -> None:
    if status.ended:
        raise ConfigError(f"{status.run} has ended ({status.state}); there is nothing to scale.")
    if is_stale(status):
        raise ConfigError(
            f"{status.run} does not run: its driver has written nothing for {status.age_s():.0f} s. Start it again "
            "with the same esmm local command."
        )
    if not status.min_workers <= config.workers <= status.max_workers:
        raise ConfigError(
            f"workers is {config.workers}, and this run was started with --min-workers {status.min_workers} "
            f"--max-workers {status.max_workers}. Set a number between them."
        )


def _states(status: RunStatus) -> str:
    return ", ".join(f"{each.name} {each.phase if each.state == 'running' else each.state}" for each in status.workers)


def trains(status: RunStatus, workers: int, asked_at: float) -> bool:
    """Return whether exactly so many train, and somebody has said so since; one that meets the others does not yet."""
    if status.written_at < asked_at:
        return False
    training = [each for each in status.workers if each.state == "running" and each.rank is not None]
    return status.wanted_workers == workers and status.ranks == workers == len(training)
