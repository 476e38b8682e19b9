"""The Flight service of one parameter server: from a call to the run, and back.

::

    do_exchange   pull    ids in, rows out
    do_put        push    ids and gradients in, an empty acknowledgement out
    do_action     open_run, join_run, fence, continue_run, close_run, save, restore, last_steps, tie_hashes, evict,
                  stats

Each start of a run, and each time that it goes on after a loss, is a generation. ``open_run`` begins one with no rows;
``fence`` begins one that keeps them, and from then on no call of an older one has any effect; ``continue_run`` brings
the rows to a step that all ranks know and lets the new generation's calls in.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight

from esmm_dist.arrays import Ids
from esmm_dist.config import build
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.eviction import EvictionRule
from esmm_dist.errors import GenerationOverError, ServerLostError
from esmm_dist.escaped import one_line
from esmm_dist.parameter_server import headers, wire
from esmm_dist.parameter_server.config import ServerConfig
from esmm_dist.parameter_server.faults import sent_to_client
from esmm_dist.parameter_server.memory import drop_resident_code
from esmm_dist.parameter_server.repeated_calls import RepeatedCalls
from esmm_dist.parameter_server.security import ConnectionLimit, open_peers, run_place
from esmm_dist.parameter_server.served_run import ServedRun
from esmm_dist.parameter_server.stats import CallMeter, ServerStats, Timer, resident_bytes
from esmm_dist.parameter_server.step_barrier import Rewound
from esmm_dist.parameter_server.wire import RequestError
from esmm_dist.progress import Progress
from esmm_dist.schema.fields import TABLE_NAME
from esmm_dist.storage.folder import Folder

IN_USE_S = 60.0
"""A run that was not closed is taken for alive for so long after its last call."""

_CHECKPOINT_FOLDER = re.compile(r"(\.writing-)?step-\d{8,12}")


class ParameterService(flight.FlightServerBase):
    """Answers calls; see the module's table.

    Ownership: Flight calls in from many threads. ``_lock`` guards which run is open; the run guards its tables.
    Shutdown: ``shutdown`` (of Flight) waits for calls at work; ``close`` first wakes those that wait for other ranks.
    """

    def __init__(
        self,
        config: ServerConfig,
        progress: Progress,
        *,
        location: str,
        tls: Mapping[str, Any],
        middleware: Mapping[str, flight.ServerMiddlewareFactory],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Listen.

        Args:
            config: Limits, index and count.
            progress: Told what happens to runs.
            location: Flight's, such as ``grpc://127.0.0.1:0``.
            tls: Further arguments of Flight about certificates.
            middleware: Of Flight.
            clock: Seconds.
        """
        super().__init__(location, middleware=dict(middleware), **tls)
        self.config = config
        self._progress, self._clock = progress, clock
        self._started = self._last_call = clock()
        self._lock = threading.Lock()
        self._run: ServedRun | None = None
        self._generation = 0
        self._generation_taken = True
        self._pulls, self._pushes = CallMeter(), CallMeter()
        self._refused = 0
        self._repeated_calls = RepeatedCalls()
        self._connections = ConnectionLimit(config.max_connections, lambda: open_peers(self.port))
        self._actions: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
            "open_run": ("Open a run, or join it", self._open_run),
            "join_run": ("Join a run that is open", self._join_run),
            "fence": ("Refuse all older generations of a run from now on", self._fence),
            "continue_run": ("Go on with a run's rows after a fence", self._continue_run),
            "close_run": ("Forget a run and its rows", self._close_run),
            "save": ("Write all rows into a checkpoint", self._save),
            "restore": ("Replace all rows by a checkpoint's", self._restore),
            "last_steps": ("Count rows by the step that changed them last", self._last_steps),
            "tie_hashes": ("Hashes of the rows that a step changed last", self._tie_hashes),
            "evict": ("Remove rows by a rule", self._evict),
            "stats": ("This server's figures", self._stats_reply),
        }

    def do_exchange(
        self,
        context: flight.ServerCallContext,
        descriptor: flight.FlightDescriptor,
        reader: flight.MetadataRecordBatchReader,
        writer: flight.MetadataRecordBatchWriter,
    ) -> None:
        """Answer a pull."""
        with self._call(context):
            timer = Timer()
            header = wire.decode_header(wire.PullHeader, descriptor.command)
            run = self._run_of(header)
            dim = run.embedding_dim(header.table)
            with timer.waiting():
                batches = self._read(reader, header.table, header.rows, wire.ids_schema())
            ids = _joined([wire.decode_ids(batch.column(0), table=header.table) for batch in batches])
            run.check_ids(header.table, ids)
            rows = run.pull(
                header.table,
                ids,
                generation=header.generation,
                step=header.step,
                patience_s=header.patience_s,
                timer=timer,
            )
            writer.begin(wire.values_schema(header.wire, dim))
            for start in range(0, len(rows), wire.ROWS_A_MESSAGE):
                writer.write_batch(wire.encode_values(rows[start : start + wire.ROWS_A_MESSAGE], header.wire))
            self._pulls.note(timer.seconds, len(ids))

    def do_put(
        self,
        context: flight.ServerCallContext,
        descriptor: flight.FlightDescriptor,
        reader: flight.MetadataRecordBatchReader,
        writer: flight.FlightMetadataWriter,
    ) -> None:
        """Take a push; acknowledged when it can no longer be lost but by the loss of this process."""
        with self._call(context):
            timer = Timer()
            header = wire.decode_header(wire.PushHeader, descriptor.command)
            run = self._run_of(header)
            dim = run.embedding_dim(header.table)
            if header.impressions < 1 or header.step < 1:
                raise RequestError(
                    f"a push of step {header.step} over {header.impressions} impressions; 1 is the least"
                )
            with_counts = run.embedding.make_admission().counts
            schema = wire.push_schema(header.wire, dim, with_counts=with_counts)
            with timer.waiting():
                batches = self._read(reader, header.table, header.rows, schema)
            ids = _joined([wire.decode_ids(batch.column(0), table=header.table) for batch in batches])
            gradients = np.concatenate(
                [
                    np.empty((0, dim), np.float32),
                    *(wire.decode_values(batch.column(1), header.wire, table=header.table) for batch in batches),
                ]
            )
            counts = None
            if with_counts:
                counts = _joined([wire.decode_ids(batch.column(2), table=header.table) for batch in batches])
                if (counts < 1).any():
                    raise RequestError(f"table '{header.table}': an id was held by {counts.min()} impressions")
            run.check_ids(header.table, ids)
            if not np.isfinite(gradients).all():
                raise RequestError(f"table '{header.table}': a gradient of step {header.step} is not finite")
            run.push(header, ids, gradients, counts)
            writer.write(pa.py_buffer(b""))
            self._pushes.note(timer.seconds, len(ids))

    def do_action(self, context: flight.ServerCallContext, action: flight.Action) -> Iterator[flight.Result]:
        """Do one of the actions of ``list_actions``."""
        with self._call(context):
            if action.type not in self._actions:
                raise RequestError(f"there is no action '{action.type}'. There are: {', '.join(self._actions)}")
            reply = self._actions[action.type][1](action.body.to_pybytes())
        return iter([flight.Result(pa.py_buffer(reply))])

    def list_actions(self, context: flight.ServerCallContext) -> list[tuple[str, str]]:
        """Return the actions with their descriptions."""
        return [(name, text) for name, (text, _) in self._actions.items()]

    def stats(self) -> ServerStats:
        """Return this server's figures."""
        run, now = self._run, self._clock()
        rewound = run.rewound if run else Rewound()
        return ServerStats(
            address="",
            index=self.config.index,
            count=self.config.count,
            run=run.opened.run if run else "",
            generation=self._generation,
            step=run.step if run else 0,
            rows_by_table=run.rows_by_table if run else {},
            row_bytes=run.memory_bytes if run else 0,
            resident_bytes=resident_bytes(),
            pulls=self._pulls.read(),
            pushes=self._pushes.read(),
            repeated_pushes=run.repeats if run else 0,
            **asdict(rewound),
            refused_calls=self._refused,
            connections=len(open_peers(self.port)),
            uptime_s=now - self._started,
            idle_s=now - self._last_call,
        )

    def why_not_ready(self) -> str:
        """Return why a rank could not use the rows now; empty if it could. Waits for nothing."""
        run = self._run
        if run is None:
            return "no run is open here yet"
        if not run.is_whole:
            return f"the rows of run '{run.opened.run}' are not whole: a restore is at work, or failed"
        return ""

    def close(self) -> None:
        """Wake the calls that wait for other ranks, and take no more of them."""
        self._repeated_calls.close()
        with self._lock:
            if self._run is not None:
                self._run.close()

    def _say(self, text: str) -> None:
        """Log a line; names in it come from clients."""
        self._progress.message(one_line(text))

    @contextmanager
    def _call(self, context: flight.ServerCallContext) -> Iterator[None]:
        """Around each call: its connection is counted, and what goes wrong travels to the client."""
        try:
            with sent_to_client(self._progress.message):
                self._connections.admit(context.peer())
                yield
        except flight.FlightError:
            self._refused += 1
            raise

    def _run_of(self, header: Any) -> ServedRun:
        """Return the open run that a header names.

        Raises:
            ServerLostError: Another one is open, or none.
            GenerationOverError: It has been started again since, or has gone on without the caller.
            RequestError: The run has not gone on yet after a fence.
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
                f"{header.generation}, with which the run has not gone on yet"
            )
        self._last_call = self._clock()
        return run

    def _lost(self, run: str) -> ServerLostError:
        found = f"run '{self._run.opened.run}'" if self._run else "no run"
        return ServerLostError(
            f"run '{run}' is not open here, {found} is. The server may have been started again: restart "
            "training, which restores the rows from its checkpoint"
        )

    def _read(
        self, reader: flight.MetadataRecordBatchReader, table: str, rows: int, expected: pa.Schema
    ) -> list[pa.RecordBatch]:
        """Read the batches of a request, and no more rows than its header says."""
        if not 0 <= rows <= self.config.max_request_rows:
            raise RequestError(
                f"table '{table}': a request of {rows:,} rows; --max-request-rows is {self.config.max_request_rows:,}. "
                "Raise it on the servers, or lower --global-batch-records"
            )
        batches, found = [], 0
        with wire.decoding(table):
            wire.check_schema(reader.schema, expected, table=table)
            for chunk in reader:
                if chunk.data is None:
                    continue
                wire.check_whole(chunk.data, table=table)
                found += chunk.data.num_rows
                if found > rows:
                    break
                batches.append(chunk.data)
        if found != rows:
            raise RequestError(f"table '{table}': the header says {rows} rows, the request has {found} or more")
        return batches

    def _open_run(self, body: bytes) -> bytes:
        opened = wire.decode_header(headers.OpenHeader, body)
        embedding = self._checked(opened)
        with self._lock:
            run = self._run
            if run is not None and run.opened == opened:
                return b"{}"
            self._check_may_open(run, opened)
            self._repeated_calls.check_idle()
            if run is not None:
                run.fence(opened.generation)
                run.close()
                self._run = None  # its memory goes before the new one's comes
            self._run = ServedRun(opened, embedding)
            drop_resident_code()
            self._generation, self._generation_taken = opened.generation, True
            self._last_call = self._clock()
        self._say(
            f"Opened run {opened.run}, generation {opened.generation}: {opened.world_size} ranks, "
            f"{opened.update_mode}, tables {', '.join(opened.tables)}"
        )
        return b"{}"

    def _join_run(self, body: bytes) -> bytes:
        opened = wire.decode_header(headers.OpenHeader, body)
        run = self._run
        if run is None or run.opened.run != opened.run:
            raise self._lost(opened.run)
        if opened.generation < run.generation:
            raise GenerationOverError(f"generation {opened.generation} is over: the run is at {run.generation}")
        if opened.generation > run.opened.generation:
            raise ServerLostError(
                f"run '{opened.run}' is open here as generation {run.opened.generation}, not as {opened.generation}"
            )
        if run.opened != opened:
            raise self._other_settings(opened)
        self._last_call = self._clock()
        return b"{}"

    def _fence(self, body: bytes) -> bytes:
        header = wire.decode_header(headers.RunHeader, body)
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
        self._say(f"Generation {header.generation} of run {header.run} begins: older ones are refused")
        return wire.plain(state)

    def _continue_run(self, body: bytes) -> bytes:
        opened = wire.decode_header(headers.OpenHeader, body)
        self._checked(opened)
        with self._lock:
            run = self._run
            if run is None or run.opened.run != opened.run:
                raise self._lost(opened.run)
            if not run.is_whole:
                raise ServerLostError(f"the rows of run '{opened.run}' were never restored to their end here")
            if opened.generation < run.generation:
                raise GenerationOverError(f"generation {opened.generation} is over: the run is at {run.generation}")
            if opened.generation > run.generation:
                raise RequestError(
                    f"run '{opened.run}' cannot go on as generation {opened.generation} before that has fenced off "
                    f"generation {run.generation}"
                )
            self._last_call = self._clock()
        # Without the lock: it waits for a save that is at work. Nothing of the new generation gets in before
        new = run.opened != opened
        rewound = run.go_on(opened)
        with self._lock:
            self._generation_taken |= self._generation == opened.generation
        if new:
            self._say(
                f"Run {opened.run} goes on after step {opened.first_step:,} as generation {opened.generation}: "
                f"{opened.world_size} ranks; steps undone {rewound.undone_steps}, lost {rewound.lost_steps}, "
                f"repeated {rewound.repeated_steps}"
            )
        return wire.plain(asdict(rewound))

    def _checked(self, opened: headers.OpenHeader) -> EmbeddingConfig:
        if (opened.index, opened.count) != (self.config.index, self.config.count):
            raise RequestError(
                f"this is server {self.config.index}/{self.config.count}, and the client lists it as "
                f"{opened.index}/{opened.count}. Give --servers all servers, in the order of their index"
            )
        run_place(opened.location, self.config.root)
        wrong = [table for table in opened.tables if not TABLE_NAME.fullmatch(table)]
        if wrong or not opened.tables or len(set(opened.tables)) != len(opened.tables):
            raise RequestError(f"tables {list(opened.tables)}: names are of letters, digits, '_' and '-', each once")
        if opened.world_size < 1 or opened.max_staleness_steps < 1 or opened.first_step < 0:
            raise RequestError("world_size and max_staleness_steps are 1 or more, first_step is 0 or more")
        return build(EmbeddingConfig, opened.embedding, where="the run's settings")

    def _check_may_open(self, run: ServedRun | None, opened: headers.OpenHeader) -> None:
        if opened.generation < self._generation + self._generation_taken:
            if run is not None and run.opened.run == opened.run and run.opened.generation == opened.generation:
                raise self._other_settings(opened)
            raise GenerationOverError(
                f"generation {opened.generation} is over: this server is at {self._generation}. Restart training"
            )
        self._check_not_in_use(opened.run)

    def _other_settings(self, opened: headers.OpenHeader) -> RequestError:
        return RequestError(
            f"run '{opened.run}' was opened as generation {opened.generation} with other settings by another rank"
        )

    def _check_not_in_use(self, name: str) -> None:
        run, idle_s = self._run, self._clock() - self._last_call
        if run is not None and run.opened.run != name and idle_s < IN_USE_S:
            raise RequestError(
                f"the server is in use by run '{run.opened.run}' (last call {idle_s:.0f} s ago), and can serve "
                f"'{name}' once that ends, or {IN_USE_S:.0f} s after its last call. Use other servers, or wait"
            )

    def _close_run(self, body: bytes) -> bytes:
        header = wire.decode_header(headers.RunHeader, body)
        with self._lock:
            if self._run is None and header.generation <= self._generation:
                return b"{}"  # the reply to the first call was lost
            self._run_of(header).close()
            self._run = None
        self._say(f"Closed run {header.run}")
        return b"{}"

    def _save(self, body: bytes) -> bytes:
        header = wire.decode_header(headers.SaveHeader, body)
        run = self._run_of(header)
        return self._once("save", header, lambda: self._save_once(run, header))

    def _save_once(self, run: ServedRun, header: headers.SaveHeader) -> bytes:
        start = self._clock()
        folder = self._checkpoint_folder(run.opened.location, header.folder)
        files = run.save(folder, generation=header.generation, step=header.step)
        size = sum(file.file_bytes for file in files)
        self._say(
            f"Saved {run.num_rows:,} rows of step {header.step} ({size / 1e6:.1f} MB, {self._clock() - start:.1f} s)"
        )
        return wire.plain({"files": [asdict(file) for file in files]})

    def _restore(self, body: bytes) -> bytes:
        header = wire.decode_header(headers.RestoreHeader, body)
        run = self._run_of(header)
        run_place(header.location, self.config.root)
        for file in header.files:
            if "/" in file.path or "\\" in file.path or file.path.startswith(".") or "\0" in file.path:
                raise RequestError(f"'{file.path}' is not the name of a file of a checkpoint")
        return self._once("restore", header, lambda: self._restore_once(run, header))

    def _restore_once(self, run: ServedRun, header: headers.RestoreHeader) -> bytes:
        start = self._clock()
        folder = self._checkpoint_folder(header.location, header.folder)
        run.restore(folder, header.files, generation=header.generation, step=header.step)
        drop_resident_code()
        self._say(f"Restored {run.num_rows:,} rows of step {header.step} ({self._clock() - start:.1f} s)")
        return wire.plain({"rows": run.num_rows})

    def _once(self, what: str, header: Any, do: Callable[[], bytes]) -> bytes:
        return self._repeated_calls.join(what, header.call_id, header.patience_s, do)

    def _checkpoint_folder(self, location: str, name: str) -> Folder:
        if not _CHECKPOINT_FOLDER.fullmatch(name):
            raise RequestError(f"'{name}' is not the name of a checkpoint's folder, such as step-00000123")
        return Folder.open(run_place(location, self.config.root)) / "checkpoints" / name

    def _last_steps(self, body: bytes) -> bytes:
        header = wire.decode_header(headers.SurveyHeader, body)
        run = self._run_of(header)
        run.embedding_dim(header.table)
        steps, rows = run.last_steps(header.table, generation=header.generation)
        return wire.plain({"steps": steps.tolist(), "rows": rows.tolist()})

    def _tie_hashes(self, body: bytes) -> bytes:
        header = wire.decode_header(headers.TieHeader, body)
        run = self._run_of(header)
        run.embedding_dim(header.table)
        return run.tie_hashes(header.table, header.step, generation=header.generation).astype("<u8").tobytes()

    def _evict(self, body: bytes) -> bytes:
        header = wire.decode_header(headers.EvictHeader, body)
        run = self._run_of(header)
        run.embedding_dim(header.table)
        return self._once("eviction", header, lambda: self._evict_once(run, header))

    def _evict_once(self, run: ServedRun, header: headers.EvictHeader) -> bytes:
        rule = build(EvictionRule, header.rule, where="evict")
        removed = run.remove(header.table, rule, generation=header.generation)
        self._say(f"Evicted {removed:,} rows of table {header.table}; {run.num_rows:,} are left")
        return wire.plain({"removed": removed})

    def _stats_reply(self, body: bytes) -> bytes:
        return wire.plain(asdict(self.stats()))


def _joined(parts: list[Ids]) -> Ids:
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.int64), *parts])
