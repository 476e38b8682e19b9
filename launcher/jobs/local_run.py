"""A run that ``esmm local`` trains, or has trained: the verbs of a job, linked to it by files in the run alone."""

import contextlib
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from esmm_dist.errors import ConfigError, RetryError
from esmm_dist.progress import Progress
from esmm_dist.storage.folder import Folder
from esmm_dist.train.run_folder import LOG_NAME
from launcher.command import RunLine
from launcher.run_files.job import Done, JobStatus
from launcher.run_files.log_files import FOLDER_NAME, log_path, older
from launcher.run_files.plain_run import TRAIN_LOCK_NAME, is_training, read_progress
from launcher.run_files.run_record import LOCK_NAME, RECORD_NAME, STOP_NAME, ask_to_stop, is_held, read_record
from launcher.run_files.run_status import EVENTS_NAME, SCALE_NAME, STATUS_NAME, RunStatus, read_status
from launcher.run_files.scale import scale
from launcher.run_files.scale_config import ScaleConfig
from launcher.run_files.status_lines import is_stale

KEPT_NAMES = ("checkpoints", "config.yaml")
"""What a deletion that keeps the data leaves: a training can go on from it."""

OTHER_NAMES = (
    *("metrics.json", "skipped.json", "train_log.jsonl", "tensorboard", FOLDER_NAME, EVENTS_NAME, SCALE_NAME),
    *(STOP_NAME, TRAIN_LOCK_NAME, LOCK_NAME, STATUS_NAME, RECORD_NAME),
)
"""All else that belongs to a run. Those by which it is known to be one come last: a deletion that was interrupted can
be made again."""

POLL_S = 0.2


class LocalRun:
    """The ``JobBackend`` of this machine.

    Args:
        run: folder or URI
        sleep: waits so many seconds
    """

    def __init__(self, run: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._run, self._sleep = Folder.open(run), sleep
        self._named = run

    def status(self) -> JobStatus:
        """Return its state. A run without a driver is ``running``, ``done`` (its last step is saved) or ``stopped``.

        Raises:
            ConfigError: There is no run.
            StorageError: The storage refuses.
        """
        status, running = self._find_status(), self._is_running()
        if status is None:
            return self._plain_status(running)
        lost = not status.ended and not running
        return JobStatus(
            job=str(self._run),
            where="this machine",
            state=status.state,
            run=status,
            stale=lost or is_stale(status),
            troubles=(status.error,) if status.error else (),
        )

    def _plain_status(self, running: bool) -> JobStatus:
        progress = read_progress(self._run) if is_training(self._run) else None
        if progress is None and not self._run.has(RECORD_NAME):
            raise ConfigError(
                f"{self._run} is no run: it has neither {STATUS_NAME} (of an elastic training), nor {RECORD_NAME} (of "
                f"esmm local), nor {LOG_NAME} (of esmm train). Give the folder that --run named."
            )
        running = running or self._trains_by_itself()
        ended = "done" if progress is not None and progress.done else "stopped"
        state = "running" if running else ended
        return JobStatus(job=str(self._run), where="this machine", state=state, progress=progress)

    def logs(self, which: str | None, *, follow: bool, tail: int | None = None) -> Iterator[str]:
        """Return the lines of a process, each with its time; ``local`` are those of ``esmm local`` itself.

        Raises:
            ConfigError: The run has no logs, or no such process.
        """
        if not self._run.is_local:
            raise ConfigError(
                f"{self._run} has no logs: esmm local keeps them in runs on a local disk only, since files in an "
                f"object store cannot grow. What happened is in {self._run}/{EVENTS_NAME}."
            )
        folder = self._run.local_path / FOLDER_NAME
        names = sorted(path.stem for path in folder.glob("*.log"))
        if not names:
            raise ConfigError(f"{self._run} has no {FOLDER_NAME}/: no esmm local has trained there yet.")
        if which is None:
            which = next((name for name in ("driver", "worker-0", "local") if name in names), names[0])
        which = self._with_rank(which)
        if which not in names:
            raise ConfigError(f"{self._run} has no log of '{which}'. There are: {', '.join(names)}.")
        return self._lines(log_path(folder, which), follow=follow, tail=tail)

    def scale_workers(self, count: int, *, wait_s: float, progress: Progress) -> Done:
        """Change the number of workers of an elastic run, and wait until so many train.

        Raises:
            ConfigError: It is not elastic, does not run, or the number is out of its bounds.
            RetryError: So many do not train within the time.
        """
        result = scale(ScaleConfig(run=self._named, workers=count, wait_s=wait_s), progress, sleep=self._sleep)
        if wait_s == 0:
            line = f"Asked for {count} workers (there were {result.before})."
        else:
            line = f"{result.workers} workers train (before: {result.before}), after {result.seconds:.1f} s."
        return Done(
            lines=[line], result={"workers": result.workers, "before": result.before, "seconds": result.seconds}
        )

    def scale_servers(self, count: int, *, wait_s: float, progress: Progress) -> Done:
        """Say how it is done by hand.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"The servers of {self._run} are those of its esmm local command. Stop it (esmm cancel {self._named}), and "
            f"give that command again with --servers {count}: it goes on from the last checkpoint."
        )

    def cancel(self, *, now: bool, wait_s: float, progress: Progress) -> Done:
        """Have all workers save and end, as Ctrl-C does; with ``now`` kill all processes.

        Raises:
            ConfigError: It does not run, or is to be killed and belongs to another machine.
            RetryError: It has not ended within the time.
        """
        self._check_is_run()
        if not self._is_running():
            if self._trains_by_itself():
                raise ConfigError(
                    f"{self._run} is trained by esmm train without esmm local, which takes no requests. Stop that "
                    "process with Ctrl-C or SIGTERM: it saves and ends."
                )
            raise ConfigError(f"{self._run} does not run. To go on with it: esmm resume {self._named}.")
        if now:
            self._kill()
        else:
            ask_to_stop(self._run)
        start = time.monotonic()
        if wait_s == 0:
            return Done(lines=[f"{self._run} is asked to save and stop."], result={"state": "stopping"})
        progress.message(f"{self._run}: waiting until all have {'ended' if now else 'saved and ended'}.")
        while self._is_running() or self._trains_by_itself():
            if time.monotonic() >= start + wait_s:
                raise RetryError(
                    f"{self._run} has not ended within {wait_s:g} s. It goes on with it by itself; look at esmm status "
                    f"{self._named}, or end it at once with esmm cancel {self._named} --now."
                )
            self._sleep(POLL_S)
        state = self.status().state if not now else "killed"
        seconds = round(time.monotonic() - start, 1)
        return Done(
            lines=[f"{self._run} is {state}, after {seconds:.1f} s. To go on: esmm resume {self._named}."],
            result={"state": state, "seconds": seconds},
        )

    def resume(self, *, wait_s: float, progress: Progress, run_line: RunLine) -> Done:
        """Give its ``esmm local`` command again, in the folder where it was given; returns when that has ended.

        Raises:
            ConfigError: It was not started by ``esmm local``, or runs.
            EsmmError: As ``esmm local``.
        """
        record = read_record(self._run)
        if record is None:
            raise ConfigError(
                f"{self._run} has no {RECORD_NAME}: no esmm local has trained there. Give the command by which it was "
                "started again; it goes on from the last checkpoint."
            )
        if self._is_running() or self._trains_by_itself():
            raise ConfigError(f"{self._run} runs already. Look at esmm status {self._named}.")
        if not Path(record.folder).is_dir():
            raise ConfigError(f"{self._run} was started in {record.folder}, which is gone: its paths may not be right.")
        progress.message(f"esmm {' '.join(record.command)}")
        with contextlib.chdir(record.folder):
            outcome = run_line(record.command)
        return Done(lines=outcome.lines, result=outcome.result, done=outcome.done)

    def delete(self, *, keep_data: bool, wait_s: float, progress: Progress) -> Done:
        """Remove what a run has written; files of others in its folder stay.

        Raises:
            ConfigError: It is no run, or runs.
            StorageError: The storage refuses; the same call goes on.
        """
        self._check_is_run()
        if self._is_running() or self._trains_by_itself():
            raise ConfigError(f"{self._run} runs. Stop it first: esmm cancel {self._named}.")
        names = OTHER_NAMES if keep_data else KEPT_NAMES + OTHER_NAMES
        for name in names:
            self._remove(name)
        left = sorted(path.name for path in self._run.local_path.iterdir()) if self._run.is_local else []
        if self._run.is_local and not left:
            self._run.local_path.rmdir()
        kept = f"; it still holds {', '.join(left)}" if left else ""
        return Done(lines=[f"{self._run} is deleted{kept}."], result={"run": str(self._run), "kept": left})

    def _remove(self, name: str) -> None:
        if not self._run.is_local:
            self._run.delete_file(name)
            (self._run / name).delete()
            return
        path = self._run.local_path / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _with_rank(self, which: str) -> str:
        """Return the name of the worker that has a rank (``rank-0``); of a plain run it is that of the rank."""
        kind, _, rank = which.rpartition("-")
        if kind != "rank":
            return which
        status = self._find_status()
        workers = status.workers if status is not None else ()
        return next((each.name for each in workers if str(each.rank) == rank), f"worker-{rank}")

    def _kill(self) -> None:
        record = read_record(self._run)
        if record is None or not self._run.is_local or record.host != os.uname().nodename:
            raise ConfigError(
                f"{self._run} is trained by a process that this machine does not know. Leave --now out: then it saves "
                "and ends by itself."
            )
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, signal.SIGKILL)  # the kernel ends its children

    def _is_running(self) -> bool:
        if self._run.is_local:
            return is_held(self._run)
        status = self._find_status()
        return status is not None and not status.ended and not is_stale(status)

    def _trains_by_itself(self) -> bool:
        """Return whether a training holds the run; also one that no ``esmm local`` has started."""
        return self._run.is_local and is_held(self._run, TRAIN_LOCK_NAME)

    def _find_status(self) -> RunStatus | None:
        return read_status(self._run) if self._run.has(STATUS_NAME) else None

    def _check_is_run(self) -> None:
        if not self._run.has(RECORD_NAME) and not self._run.has(STATUS_NAME):
            raise ConfigError(
                f"{self._run} is no run that esmm local has started: it has neither {RECORD_NAME} nor {STATUS_NAME}."
            )

    def _lines(self, path: Path, *, follow: bool, tail: int | None) -> Iterator[str]:
        before = older(path).read_bytes() if older(path).exists() else b""
        now = path.read_bytes()
        now = now[: now.rfind(b"\n") + 1] if follow else now  # half a line comes whole with the new ones
        lines = deque((before + now).splitlines(), maxlen=tail)
        yield from (line.decode(errors="replace") for line in lines)
        if follow:
            yield from self._new_lines(path, len(now))

    def _new_lines(self, path: Path, position: int) -> Iterator[str]:
        """Yield lines as they come, until the run has ended; a file that was begun anew is read from its beginning."""
        file = path.open("rb")
        rest = b""
        try:
            file.seek(position)
            while True:
                running = self._is_running()  # before reading: what is written until its end is read
                *lines, rest = (rest + file.read()).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)
                if path.exists() and path.stat().st_ino != os.fstat(file.fileno()).st_ino:
                    file.close()
                    file = path.open("rb")
                elif not running:
                    return
                elif not lines:
                    self._sleep(POLL_S)
        finally:
            file.close()
