"""A run that ``esmm local`` trains, or has trained: the verbs of a job, linked to it by files in the run alone."""

import contextlib
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.storage.folder import Folder
from esmm_dist.train.run_folder import LOG_NAME
from launcher.command import Outcome, RunLine
from launcher.jobs.backend import Say, ignore
from launcher.jobs.local_files import delete_files
from launcher.jobs.local_logs import find_log, follow_lines, read_lines
from launcher.run_files.job import THIS_MACHINE, JobStatus
from launcher.run_files.plain_run import TRAIN_LOCK_NAME, data_sets_if_readable, is_training, read_progress
from launcher.run_files.run_record import RECORD_NAME, is_held, read_record, request_stop
from launcher.run_files.run_status import STATUS_NAME, RunStatus, read_status
from launcher.run_files.scale_request import (
    ScaleRequest,
    check_scale_workers,
    scale_outcome,
    trains,
    worker_states,
    write_scale_request,
)
from launcher.run_files.status_lines import is_stale
from launcher.terminal.wait import Wait

POLL_S = 0.2


class LocalRun:
    """The ``JobBackend`` of this machine.

    Args:
        run: folder or URI of the run, as the user named it
    """

    def __init__(self, run: str) -> None:
        self._run, self._named = Folder.open(run), run

    def status(self) -> JobStatus:
        """Return its state. A run without a driver is ``running``, ``done`` (its last step is saved) or ``stopped``.

        Raises:
            ConfigError: There is no run.
            StorageError: The storage refuses.
        """
        status = self._find_status()
        if status is None:
            return self._plain_status()
        return JobStatus(
            job=str(self._run),
            where=THIS_MACHINE,
            state=status.state,
            run=status,
            stale=self._is_stale(status),
            troubles=(status.error,) if status.error else (),
            data_sets=data_sets_if_readable(self._run),
        )

    def logs(self, which: str | None, *, follow: bool, tail: int | None = None, say: Say = ignore) -> Iterator[str]:
        """Return the lines of a process, each with its time; ``local`` is ``esmm local`` itself.

        Raises:
            ConfigError: The run has no logs, or no such process.
        """
        path = find_log(self._run, which, self._find_status())
        return follow_lines(path, self._is_running, tail=tail) if follow else read_lines(path, tail=tail)

    def scale_workers(self, count: int, wait: Wait) -> Outcome:
        """Change the number of workers of an elastic run, and wait until so many train.

        Raises:
            ConfigError: It is not elastic, is not running, or the number is out of its bounds.
            RetryError: So many do not train within the time.
        """
        status = read_status(self._run)
        check_scale_workers(status, count, stale=self._is_stale(status))
        write_scale_request(self._run, ScaleRequest(workers=count, id=secrets.token_hex(8)))
        seconds = None
        if wait.timeout_s > 0:

            def reached(later: RunStatus) -> bool:
                if later.ended:
                    raise ConfigError(
                        f"{self._run} has ended in the meantime ({later.state}); there is nothing to scale."
                    )
                return trains(later, count, since=status.written_at)

            wait.until(
                lambda: read_status(self._run),
                reached,
                what=f"{count} workers train",
                describe=worker_states,
                remedy=f"{self._run} goes on by itself; look at esmm status {self._named}.",
                every_s=POLL_S,
            )
            seconds = wait.elapsed_s
        return scale_outcome(count, before=status.ranks, seconds=seconds)

    def scale_servers(self, count: int, wait: Wait) -> Outcome:
        """Say how it is done by hand.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"The servers of {self._run} belong to its esmm local command. Stop it (esmm cancel {self._named}), and "
            f"give that command again with --servers {count}: it goes on from the last checkpoint."
        )

    def scale_replicas(self, least: int, most: int, wait: Wait) -> Outcome:
        """Say what can be scaled.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"{self._run} is a training, and --replicas is for cluster jobs with task: serve. Set --workers."
        )

    def cancel(self, wait: Wait, *, now: bool) -> Outcome:
        """Have all workers save and end, as Ctrl-C does; with ``now`` kill all processes.

        Raises:
            ConfigError: It is not running, or is to be killed and belongs to another machine.
            RetryError: It has not ended within the time.
        """
        self._check_is_run()
        if not self._is_running():
            if self._trains_by_itself():
                raise ConfigError(
                    f"{self._run} is trained by esmm train without esmm local, which takes no requests. Stop that "
                    "process with Ctrl-C or SIGTERM: it saves and ends."
                )
            raise ConfigError(f"{self._run} is not running. To go on with it: esmm resume {self._named}.")
        if now:
            self._kill()
        else:
            request_stop(self._run)
        if wait.timeout_s == 0:
            return Outcome(lines=[f"{self._run} is asked to save and stop."], result={"state": "stopping"})
        wait.until(
            lambda: self._is_running() or self._trains_by_itself(),
            lambda running: not running,
            what=f"{self._run} has ended",
            describe=lambda _: "its processes end" if now else "its workers save and end",
            remedy=f"Look at esmm status {self._named}, or end it at once with esmm cancel {self._named} --now.",
            every_s=POLL_S,
        )
        state = "killed" if now else self.status().state
        line = f"{self._run} is {state}, after {wait.elapsed_s:.1f} s. To go on: esmm resume {self._named}."
        return Outcome(lines=[line], result={"state": state, "seconds": wait.elapsed_s})

    def resume(self, wait: Wait, run_line: RunLine) -> Outcome:
        """Give its ``esmm local`` command again, in the folder where it was given; return when that has ended.

        Raises:
            ConfigError: It was not started by ``esmm local``, or runs.
            EsmmError: Whatever ``esmm local`` raises.
        """
        record = read_record(self._run)
        if record is None:
            raise ConfigError(
                f"{self._run} has no {RECORD_NAME}: no esmm local has trained there. Give the command that started it "
                "again; it goes on from the last checkpoint."
            )
        if self._is_running() or self._trains_by_itself():
            raise ConfigError(f"{self._run} is running already. Look at esmm status {self._named}.")
        if not Path(record.folder).is_dir():
            raise ConfigError(
                f"{self._run} was started in {record.folder}, which no longer exists, and the paths of its command may "
                "be relative to it. Give the esmm local command again where its paths are right."
            )
        wait.progress.message(f"esmm {' '.join(record.command)}")
        with contextlib.chdir(record.folder):
            return run_line(record.command)

    def delete(self, wait: Wait, *, keep_data: bool) -> Outcome:
        """Remove what a run has written; files of others in its folder stay.

        Raises:
            ConfigError: It is not a run, or runs.
            StorageError: The storage refuses; the same call goes on.
        """
        self._check_is_run()
        if self._is_running() or self._trains_by_itself():
            raise ConfigError(f"{self._run} is running. Stop it first: esmm cancel {self._named}.")
        left = delete_files(self._run, keep_data=keep_data)
        kept = f"; it still holds {', '.join(left)}" if left else ""
        return Outcome(lines=[f"{self._run} is deleted{kept}."], result={"run": str(self._run), "kept": left})

    def _plain_status(self) -> JobStatus:
        progress = read_progress(self._run) if is_training(self._run) else None
        if progress is None and not self._run.has(RECORD_NAME):
            raise ConfigError(
                f"{self._run} is not a run: it has neither {STATUS_NAME} (of an elastic training), nor {RECORD_NAME} "
                f"(of esmm local), nor {LOG_NAME} (of esmm train). Give the folder that --run named."
            )
        running = self._is_running() or self._trains_by_itself()
        ended = "done" if progress is not None and progress.done else "stopped"
        state = "running" if running else ended
        data_sets = data_sets_if_readable(self._run)
        return JobStatus(job=str(self._run), where=THIS_MACHINE, state=state, progress=progress, data_sets=data_sets)

    def _kill(self) -> None:
        record = read_record(self._run)
        if record is None or not self._run.is_local or not record.of_this_machine:
            raise ConfigError(
                f"{self._run} is trained by a process of another machine, which cannot be killed from here. Leave "
                "--now out: then it saves and ends by itself."
            )
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, signal.SIGKILL)  # the kernel ends its children

    def _is_running(self) -> bool:
        if self._run.is_local:
            return is_held(self._run)
        status = self._find_status()
        return status is not None and not status.ended and not is_stale(status)

    def _is_stale(self, status: RunStatus) -> bool:
        """Return whether an elastic run should be going on and does not.

        A run without a record is trained by a job in a cluster, in a file system that is mounted here: nothing but its
        status tells.
        """
        if status.ended or is_stale(status) or not self._run.is_local or is_held(self._run):
            return is_stale(status)
        record = read_record(self._run)
        return record is not None and record.of_this_machine

    def _trains_by_itself(self) -> bool:
        """Return whether a training holds the run; also one that no ``esmm local`` has started."""
        return self._run.is_local and is_held(self._run, TRAIN_LOCK_NAME)

    def _find_status(self) -> RunStatus | None:
        return read_status(self._run) if self._run.has(STATUS_NAME) else None

    def _check_is_run(self) -> None:
        if not self._run.has(RECORD_NAME) and not self._run.has(STATUS_NAME):
            raise ConfigError(
                f"{self._run} is not a run of esmm local: it has neither {RECORD_NAME} nor {STATUS_NAME}."
            )
