"""Which run a server serves, and as which generation: opened, joined, fenced, resumed, closed.

Each start of a run, and each time that it resumes after a loss, is a generation. ``open_run`` begins one with no rows;
``fence`` begins one that keeps them, and from then on no call of an older one has any effect; ``resume_run`` brings the
rows to a step that all ranks know and lets the new generation's calls in.
"""

import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from esmm_dist.config import build
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.errors import GenerationOverError, ServerLostError
from esmm_dist.parameter_server.config import ServerConfig
from esmm_dist.parameter_server.headers import OpenHeader, RunHeader, encode_reply
from esmm_dist.parameter_server.memory import drop_resident_code
from esmm_dist.parameter_server.refusals import RequestError
from esmm_dist.parameter_server.security import run_place
from esmm_dist.parameter_server.served_run import ServedRun
from esmm_dist.schema.fields import TABLE_NAME

IN_USE_S = 60.0
"""A run that was not closed is taken for alive for so long after its last call."""

_DONE = b"{}"


class RunLifecycle:
    """Holds the run that is open on a server. Thread-safe.

    Ownership: ``_lock`` guards which run is open and the newest generation; the run guards its tables.
    Shutdown: ``close`` wakes the calls that wait for other ranks, and lets no more in.
    """

    def __init__(
        self,
        config: ServerConfig,
        log: Callable[[str], None],
        clock: Callable[[], float],
        *,
        check_idle: Callable[[], None],
    ) -> None:
        """Begin with no run.

        Args:
            config: index, count and root of the server
            log: receives a line for each change
            clock: returns seconds
            check_idle: raises while a save or restore is at work
        """
        self._config, self._log, self._clock, self._check_idle = config, log, clock, check_idle
        self._last_call = clock()
        self._lock = threading.Lock()
        self._run: ServedRun | None = None
        self._generation = 0
        self._generation_taken = True

    @property
    def run(self) -> ServedRun | None:
        """The run that is open."""
        return self._run

    @property
    def generation(self) -> int:
        """The newest generation that has been opened or fenced."""
        return self._generation

    @property
    def idle_s(self) -> float:
        """Seconds since the last call of the run."""
        return self._clock() - self._last_call

    def run_of(self, header: Any) -> ServedRun:
        """Return the open run that a header names.

        Raises:
            ServerLostError: Another one is open, or none.
            GenerationOverError: It has been started again since, or has resumed without the caller.
            RequestError: The run has not resumed yet after a fence.
        """
        run = self._run
        if run is None or run.opened.run != header.run:
            raise self._lost(header.run)
        if header.generation < run.generation:
            raise GenerationOverError(
                f"run '{header.run}' is at generation {run.generation}, and the call is of generation "
                f"{header.generation}: training was started again elsewhere, or went on without this process"
            )
        if header.generation != run.opened.generation:
            raise RequestError(
                f"run '{header.run}' is at generation {run.opened.generation}, and the call is of generation "
                f"{header.generation}, with which the run has not resumed yet"
            )
        self._last_call = self._clock()
        return run

    def open_run(self, opened: OpenHeader) -> bytes:
        """Open a run with no rows, or join it."""
        embedding = self._checked(opened)
        with self._lock:
            run = self._run
            if run is not None and run.opened == opened:
                return _DONE
            self._check_may_open(run, opened)
            self._check_idle()
            if run is not None:
                run.fence(opened.generation)
                run.close()
                self._run = None  # its memory goes before the new one's comes
            self._run = ServedRun(opened, embedding)
            drop_resident_code()
            self._generation, self._generation_taken = opened.generation, True
            self._last_call = self._clock()
        self._log(
            f"Opened run {opened.run}, generation {opened.generation}: {opened.world_size} ranks, "
            f"{opened.update_mode}, tables {', '.join(opened.tables)}"
        )
        return _DONE

    def join_run(self, opened: OpenHeader) -> bytes:
        """Join a run that is open; opens nothing."""
        run = self._run
        if run is None or run.opened.run != opened.run:
            raise self._lost(opened.run)
        _check_not_over(run, opened)
        if opened.generation > run.opened.generation:
            raise ServerLostError(
                f"run '{opened.run}' is open here as generation {run.opened.generation}, not as {opened.generation}"
            )
        if run.opened != opened:
            raise _other_settings(opened)
        self._last_call = self._clock()
        return _DONE

    def fence(self, header: RunHeader) -> bytes:
        """Refuse all older generations of a run from now on; reply with its steps, a ``ServerRunState``."""
        with self._lock:
            if header.generation < self._generation + self._generation_taken:
                raise GenerationOverError(
                    f"generation {header.generation} of run '{header.run}' cannot begin: this server is at "
                    f"{self._generation}"
                )
            self._check_not_in_use(header.run)
            self._generation, self._generation_taken = header.generation, False
            run = self._run
            if run is not None and run.opened.run == header.run:
                run.fence(header.generation)
                self._last_call = self._clock()
        state: dict[str, Any] = {"open": False, "steps": {}, "undoable": {}, "world_size": 0, "update_mode": None}
        # While a restore is at work its rows are no run's, and they never will be: it was of an older generation
        if run is not None and run.opened.run == header.run and run.is_whole:
            steps = run.table_steps(generation=header.generation)
            state = {
                "open": run.is_whole,
                "steps": {table: of_table.applied for table, of_table in steps.items()},
                "undoable": {table: of_table.undoable for table, of_table in steps.items()},
                "world_size": run.opened.world_size,
                "update_mode": run.opened.update_mode,
            }
        self._log(f"Generation {header.generation} of run {header.run} begins: older ones are refused")
        return encode_reply(state)

    def resume_run(self, opened: OpenHeader) -> bytes:
        """Resume a run with its rows, after a fence; reply with a ``ResumeCost``."""
        self._checked(opened)
        with self._lock:
            run = self._run
            if run is None or run.opened.run != opened.run:
                raise self._lost(opened.run)
            if not run.is_whole:
                raise ServerLostError(f"the rows of run '{opened.run}' were never fully restored here")
            _check_not_over(run, opened)
            if opened.generation > run.generation:
                raise RequestError(
                    f"run '{opened.run}' cannot resume as generation {opened.generation} before a fence has ended "
                    f"generation {run.generation}"
                )
            self._last_call = self._clock()
        # Without the lock: it waits for a save that is at work. Nothing of the new generation gets in before
        new = run.opened != opened
        cost = run.resume(opened)
        with self._lock:
            self._generation_taken |= self._generation == opened.generation
        if new:
            self._log(
                f"Run {opened.run} resumes after step {opened.first_step:,} as generation {opened.generation}: "
                f"{opened.world_size} ranks; steps undone {cost.undone_steps}, lost {cost.lost_steps}, "
                f"repeated {cost.repeated_steps}"
            )
        return encode_reply(asdict(cost))

    def close_run(self, header: RunHeader) -> bytes:
        """Forget a run and its rows."""
        with self._lock:
            if self._run is None and header.generation <= self._generation:
                return _DONE  # the reply to the first call was lost
            self.run_of(header).close()
            self._run = None
        self._log(f"Closed run {header.run}")
        return _DONE

    def close(self) -> None:
        """Wake the calls that wait for other ranks, and take no more of them."""
        with self._lock:
            if self._run is not None:
                self._run.close()

    def _lost(self, run: str) -> ServerLostError:
        found = f"run '{self._run.opened.run}'" if self._run else "no run"
        return ServerLostError(
            f"run '{run}' is not open here, {found} is. The server may have been started again: restart "
            "training, which restores the rows from its checkpoint"
        )

    def _checked(self, opened: OpenHeader) -> EmbeddingConfig:
        if (opened.index, opened.count) != (self._config.index, self._config.count):
            raise RequestError(
                f"this is server {self._config.index}/{self._config.count}, and the client lists it as "
                f"{opened.index}/{opened.count}. Give --servers all servers, in the order of their index"
            )
        run_place(opened.location, self._config.root)
        wrong = [table for table in opened.tables if not TABLE_NAME.fullmatch(table)]
        if wrong or not opened.tables or len(set(opened.tables)) != len(opened.tables):
            raise RequestError(f"tables {list(opened.tables)}: names are of letters, digits, '_' and '-', each once")
        if opened.world_size < 1 or opened.max_staleness_steps < 1 or opened.first_step < 0:
            raise RequestError("world_size and max_staleness_steps are 1 or more, first_step is 0 or more")
        return build(EmbeddingConfig, opened.embedding, where="the run's settings")

    def _check_may_open(self, run: ServedRun | None, opened: OpenHeader) -> None:
        if opened.generation < self._generation + self._generation_taken:
            if run is not None and run.opened.run == opened.run and run.opened.generation == opened.generation:
                raise _other_settings(opened)
            raise GenerationOverError(
                f"generation {opened.generation} is over: this server is at {self._generation}. Restart training"
            )
        self._check_not_in_use(opened.run)

    def _check_not_in_use(self, name: str) -> None:
        run, idle_s = self._run, self.idle_s
        if run is not None and run.opened.run != name and idle_s < IN_USE_S:
            raise RequestError(
                f"the server is in use by run '{run.opened.run}' (last call {idle_s:.0f} s ago), and can serve "
                f"'{name}' once that ends, or {IN_USE_S:.0f} s after its last call. Use other servers, or wait"
            )


def _check_not_over(run: ServedRun, opened: OpenHeader) -> None:
    if opened.generation < run.generation:
        raise GenerationOverError(f"generation {opened.generation} is over: the run is at {run.generation}")


def _other_settings(opened: OpenHeader) -> RequestError:
    return RequestError(
        f"run '{opened.run}' was opened as generation {opened.generation} with other settings by another rank"
    )
