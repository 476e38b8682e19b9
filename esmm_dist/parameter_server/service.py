"""The Flight service of one parameter server: from a call to the run, and back.

::

    do_exchange   pull    ids in, a ``ReplyHead`` and rows out
    do_put        push    ids and gradients in, an empty acknowledgement out
    do_action     open_run, join_run, fence, resume_run, close_run, save, restore, last_steps, tie_hashes, evict, stats
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

from esmm_dist.escaped import one_line
from esmm_dist.parameter_server import headers
from esmm_dist.parameter_server.checkpoint_calls import CheckpointCalls
from esmm_dist.parameter_server.config import ServerConfig
from esmm_dist.parameter_server.pull_reply import encode_head
from esmm_dist.parameter_server.read_request import read_pull, read_push
from esmm_dist.parameter_server.record_batches import ROWS_A_MESSAGE, encode_values, values_schema
from esmm_dist.parameter_server.refusals import RequestError, sent_to_client
from esmm_dist.parameter_server.repeated_calls import RepeatedCalls
from esmm_dist.parameter_server.run_lifecycle import RunLifecycle
from esmm_dist.parameter_server.security import ConnectionLimit, open_peers
from esmm_dist.parameter_server.stats import CallMeter, ServerStats, Timer, resident_bytes
from esmm_dist.parameter_server.step_barrier import ResumeCost
from esmm_dist.progress import Progress


@dataclass(frozen=True, kw_only=True)
class FlightSettings:
    """Arguments of ``FlightServerBase``."""

    location: str
    """Such as ``grpc://127.0.0.1:0``."""
    tls: Mapping[str, Any]
    """Further arguments about certificates."""
    middleware: Mapping[str, flight.ServerMiddlewareFactory]


@dataclass(frozen=True)
class _Action:
    text: str
    header: type | None
    """None: it has none."""
    do: Callable[[Any], bytes]


class ParameterService(flight.FlightServerBase):
    """Answers calls; see the module's table.

    Ownership: Flight calls in from many threads. The lifecycle guards which run is open; the run guards its tables.
    Shutdown: ``shutdown`` (of Flight) waits for calls at work; ``close`` first wakes those that wait for other ranks.
    """

    def __init__(
        self,
        config: ServerConfig,
        progress: Progress,
        settings: FlightSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Listen.

        Args:
            config: limits, index and count
            progress: receives messages about runs
            settings: where and how to listen
            clock: returns seconds
        """
        super().__init__(settings.location, middleware=dict(settings.middleware), **settings.tls)
        self.config = config
        self._progress, self._clock = progress, clock
        self._started = clock()
        self._pulls, self._pushes = CallMeter(), CallMeter()
        self._refused = 0
        self._repeated_calls = RepeatedCalls()
        self._connections = ConnectionLimit(config.max_connections, lambda: open_peers(self.port))
        self._lifecycle = RunLifecycle(config, self._log, clock, check_idle=self._repeated_calls.check_idle)
        self._actions = self._make_actions()

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
            header = headers.decode_header(headers.PullHeader, descriptor.command)
            run = self._lifecycle.run_of(header)
            dim = run.embedding_dim(header.table)
            ids, known = read_pull(reader, header, max_rows=self.config.max_request_rows, timer=timer)
            reply = run.pull(header, run.ticket(header.table, ids), run.ticket(header.table, known), timer)
            writer.begin(values_schema(header.wire, dim))
            writer.write_metadata(encode_head(reply.head))
            for rows in reply.parts:
                for start in range(0, len(rows), ROWS_A_MESSAGE):
                    writer.write_batch(encode_values(rows[start : start + ROWS_A_MESSAGE], header.wire))
            self._pulls.note(timer.seconds, sum(map(len, reply.parts)))

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
            header = headers.decode_header(headers.PushHeader, descriptor.command)
            run = self._lifecycle.run_of(header)
            ids, gradients, counts = read_push(
                reader,
                header,
                embedding_dim=run.embedding_dim(header.table),
                with_counts=run.embedding.make_admission().counts,
                max_rows=self.config.max_request_rows,
                timer=timer,
            )
            run.push(header, run.ticket(header.table, ids, counts), gradients)
            writer.write(pa.py_buffer(b""))
            self._pushes.note(timer.seconds, len(ids))

    def do_action(self, context: flight.ServerCallContext, action: flight.Action) -> Iterator[flight.Result]:
        """Do one of the actions of ``list_actions``."""
        with self._call(context):
            found = self._actions.get(action.type)
            if found is None:
                raise RequestError(f"there is no action '{action.type}'. There are: {', '.join(self._actions)}")
            body = action.body.to_pybytes()
            reply = found.do(None if found.header is None else headers.decode_header(found.header, body))
        return iter([flight.Result(pa.py_buffer(reply))])

    def list_actions(self, context: flight.ServerCallContext) -> list[tuple[str, str]]:
        """Return the actions with their descriptions."""
        return [(name, action.text) for name, action in self._actions.items()]

    def stats(self) -> ServerStats:
        """Return this server's figures."""
        run = self._lifecycle.run
        return ServerStats(
            address="",
            index=self.config.index,
            count=self.config.count,
            run=run.opened.run if run else "",
            generation=self._lifecycle.generation,
            step=run.step if run else 0,
            rows_by_table=run.rows_by_table if run else {},
            row_bytes=run.memory_bytes if run else 0,
            candidates=run.num_candidates if run else 0,
            candidate_bytes=run.candidate_bytes if run else 0,
            resident_bytes=resident_bytes(),
            pulls=self._pulls.read(),
            pushes=self._pushes.read(),
            repeated_pushes=run.repeats if run else 0,
            **asdict(run.resume_cost if run else ResumeCost()),
            refused_calls=self._refused,
            connections=len(open_peers(self.port)),
            uptime_s=self._clock() - self._started,
            idle_s=self._lifecycle.idle_s,
        )

    def why_not_ready(self) -> str:
        """Return why a rank could not use the rows now; empty if it could. Waits for nothing."""
        run = self._lifecycle.run
        if run is None:
            return "no run is open here yet"
        if not run.is_whole:
            return f"the rows of run '{run.opened.run}' are incomplete: a restore is running, or failed"
        return ""

    def close(self) -> None:
        """Wake the calls that wait for other ranks, and take no more of them."""
        self._repeated_calls.close()
        self._lifecycle.close()

    def _make_actions(self) -> dict[str, _Action]:
        lifecycle = self._lifecycle
        long = CheckpointCalls(lifecycle, self._repeated_calls, self._log, self._clock, root=self.config.root)
        return {
            "open_run": _Action("Open a run, or join it", headers.OpenHeader, lifecycle.open_run),
            "join_run": _Action("Join a run that is open", headers.OpenHeader, lifecycle.join_run),
            "fence": _Action("Refuse all older generations of a run from now on", headers.RunHeader, lifecycle.fence),
            "resume_run": _Action(
                "Resume a run with its rows, after a fence", headers.OpenHeader, lifecycle.resume_run
            ),
            "close_run": _Action("Forget a run and its rows", headers.RunHeader, lifecycle.close_run),
            "save": _Action("Write all rows into a checkpoint", headers.SaveHeader, long.save),
            "restore": _Action("Replace all rows by a checkpoint's", headers.RestoreHeader, long.restore),
            "last_steps": _Action(
                "Count rows by the step that changed them last", headers.SurveyHeader, self._last_steps
            ),
            "tie_hashes": _Action("Hashes of the rows that a step changed last", headers.TieHeader, self._tie_hashes),
            "evict": _Action("Remove rows by a rule", headers.EvictHeader, long.evict),
            "stats": _Action("This server's figures", None, lambda _: headers.encode_reply(asdict(self.stats()))),
        }

    def _log(self, text: str) -> None:
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

    def _last_steps(self, header: headers.SurveyHeader) -> bytes:
        run = self._lifecycle.run_of(header)
        run.embedding_dim(header.table)
        steps, rows = run.last_steps(header.table, generation=header.generation)
        return headers.encode_reply({"steps": steps.tolist(), "rows": rows.tolist()})

    def _tie_hashes(self, header: headers.TieHeader) -> bytes:
        run = self._lifecycle.run_of(header)
        run.embedding_dim(header.table)
        return run.tie_hashes(header.table, header.step, generation=header.generation).astype("<u8").tobytes()
