"""Run many tasks on all cores, skipping those that are done, and stop cleanly.

A task is a function of this package, called with plain arguments in a worker process; its result (plain JSON values)
is kept in ``done/`` (see ``folder``).

Ownership: the pool belongs to the thread that opened it, which alone submits work and hears of results. Shutdown: at
an error, Ctrl-C or SIGTERM tasks that wait are dropped, running ones are ended, and leaving the ``with`` block returns
when the processes are gone; a signal that comes while the executor is at work counts when it has returned (see
``interrupts``). A worker whose parent was killed ends itself within a second.
"""

import ctypes
import gc
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from esmm_dist.errors import StackError
from esmm_dist.process.signals import Interrupts
from esmm_dist.progress import Progress
from preprocess.work.folder import write_text
from preprocess.work.power_failure import DONE_FOLDER, Syncs

Result = dict[str, Any]

_INTERRUPT_S = 0.2  # the longest wait before a signal counts


@dataclass(frozen=True, kw_only=True)
class PoolTask:
    """One piece of work."""

    name: str
    """Unique within the run; the name of its result file."""
    function: Callable[..., Result]
    """A module-level function that writes its files by renaming, so that doing it twice is harmless."""
    arguments: dict[str, Any] = field(default_factory=dict)
    size: float = 0.0
    """What it adds to the progress bar."""


class Pool:
    """Runs tasks in worker processes, or in this process if there is to be one worker only."""

    def __init__(self, work: Path, workers: int, executor: ProcessPoolExecutor | None, interrupts: Interrupts) -> None:
        """Keep results in ``work``; use ``executor``, or this process if it is None."""
        self._done = work / DONE_FOLDER
        self._done.mkdir(exist_ok=True)
        self._waiting = workers + 2
        self.syncs = Syncs(work)
        self._executor, self._interrupts = executor, interrupts
        self._running: dict[Future[Result], PoolTask] = {}

    def run(self, tasks: Iterable[PoolTask], progress: Progress) -> Iterator[tuple[str, Result]]:
        """Yield (name, result) of each task as it ends, in any order; results of done tasks come at once.

        ``tasks`` is read lazily, a few tasks ahead of the workers, so tasks may carry data.

        Raises:
            StackError: A worker process died.
        """
        for task in tasks:
            self.syncs.if_due()
            known = self.result(task.name)
            if known is not None:
                progress.advance(task.size)
                yield task.name, known
            elif self._executor is None:
                yield task.name, run_task(self._done, task)
                progress.advance(task.size)
            else:
                self._running[self._submit(task)] = task
                if len(self._running) >= self._waiting:
                    yield from self._collect(progress)
        while self._running:
            yield from self._collect(progress)

    def run_all(self, tasks: Iterable[PoolTask], progress: Progress) -> dict[str, Result]:
        """Run tasks and return their results by name."""
        return dict(self.run(tasks, progress))

    def result(self, name: str) -> Result | None:
        """Return the kept result of a task, or None if it is not done."""
        path = self._done / f"{name}.json"
        if not path.is_file():
            return None
        result: Result = json.loads(path.read_text(encoding="utf-8"))
        return result

    def once(self, name: str, work: Callable[[], Result]) -> Result:
        """Return the kept result of work that this process does; if there is none, do the work and keep it."""
        result = self.result(name)
        if result is None:
            result = work()
            write_text(self._done / f"{name}.json", json.dumps(result))
        return result

    def _submit(self, task: PoolTask) -> Future[Result]:
        assert self._executor is not None
        try:
            with self._interrupts.held():
                return self._executor.submit(run_task, self._done, task)
        except BrokenProcessPool as e:
            raise _worker_died() from e

    def _collect(self, progress: Progress) -> Iterator[tuple[str, Result]]:
        ended: set[Future[Result]] = set()
        while not ended:
            with self._interrupts.held():
                ended, _ = wait(self._running, timeout=_INTERRUPT_S, return_when=FIRST_COMPLETED)
        for future in ended:
            task = self._running.pop(future)
            try:
                result = future.result()
            except BrokenProcessPool as e:
                raise _worker_died() from e
            progress.advance(task.size)
            yield task.name, result


def _worker_died() -> StackError:
    return StackError(
        "A worker process of preprocess died: it was killed, perhaps because the machine ran out of memory. "
        "Run the same command again to continue; if it dies again, give a smaller --memory-gb or fewer --workers."
    )


def run_task(done: Path, task: PoolTask) -> Result:
    """Do one task and keep its result."""
    result = task.function(**task.arguments)
    write_text(done / f"{task.name}.json", json.dumps(result))
    pa.default_memory_pool().release_unused()
    gc.collect(0)  # of what the task made; what is loaded is looked through once
    ctypes.CDLL(None).malloc_trim(0)  # give freed pages back: the bound on memory holds for all processes together
    return result


@contextmanager
def open_pool(work: Path, workers: int) -> Iterator[Pool]:
    """Start worker processes and end them on leaving, at once if it is left by an error."""
    interrupts = Interrupts()
    if workers == 1:
        with interrupts.installed(), _collected_by_task():
            yield Pool(work, 1, None, interrupts)
        return
    # Spawned, not forked: a fork copies the locks of Arrow's and the caller's threads in whatever state they are.
    context = multiprocessing.get_context("spawn")
    try:
        executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(os.getpid(),))
    except OSError as e:  # of the semaphores that the processes share
        raise StackError(
            f"/dev/shm cannot be written ({e.strerror}), and several worker processes need it. Make room there, mount "
            "it writable, or give --workers 1."
        ) from e
    with interrupts.installed():
        try:
            yield Pool(work, workers, executor, interrupts)
        except BaseException:
            for process in list((executor._processes or {}).values()):
                process.terminate()
            raise
        finally:
            with interrupts.held():
                executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _collected_by_task() -> Iterator[None]:
    """Look for cycles of garbage after each task only, among what it made (``run_task``).

    Else Python looks through all that is loaded again and again while kernels are: 9% of the CPU time of a small log.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _begin_worker(parent: int) -> None:
    gc.disable()  # as ``_collected_by_task``
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
