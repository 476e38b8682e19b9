"""A small TCP proxy that does on command what networks do: resets, delays, black holes, half-open connections.

::

    client ──"up"──> FaultProxy ──"up"──> upstream
           <─"down"─            <─"down"─
"""

import asyncio
import contextlib
import functools
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Literal, TypeVar

Direction = Literal["up", "down"]
Result = TypeVar("Result")

_CHUNK_BYTES = 16_384
_COMMAND_S = 10.0


class _ResetNowError(Exception):
    """This connection is to be reset."""


class _Connection:
    """One client's connection and its other half to the upstream."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.upstream: socket.socket | None = None
        self.swallows = False
        self.loses_answers = False
        self.task: asyncio.Task[None] | None = None
        self.pumps: dict[Direction, asyncio.Task[None]] = {}


class FaultProxy:
    """Forwards TCP connections from a free port of 127.0.0.1 to one address, and misbehaves on command.

    A command holds when it returns. Commands may come from any thread.

    Ownership: an asyncio loop in a thread of its own has all sockets; commands are run there.
    Shutdown: ``close`` ends connections, loop and thread; harmless when called twice.
    """

    def __init__(self, upstream: str) -> None:
        """Listen and forward.

        Args:
            upstream: HOST:PORT.
        """
        host, _, port = upstream.rpartition(":")
        self._upstream = (host, int(port))
        self.accepted = 0
        """Connections so far."""
        self.passed: dict[Direction, int] = {"up": 0, "down": 0}
        """Bytes forwarded so far."""
        self.resets = 0
        """Connections that were reset so far."""
        self._connections: set[_Connection] = set()
        self._delay_s, self._swallows = 0.0, False
        self._reset_at: dict[Direction, int | None] = {"up": None, "down": None}
        self._listening: socket.socket | None = None
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy")
        self._thread.start()
        self._command(self._listen)

    @property
    def address(self) -> str:
        """HOST:PORT to connect to."""
        return f"127.0.0.1:{self._port}"

    def heal(self) -> None:
        """Forward again, and listen again. What was swallowed is lost, so those connections stay silent."""

        def heal() -> None:
            self._delay_s, self._swallows = 0.0, False
            self._reset_at = {"up": None, "down": None}
            self._listen()

        self._command(heal)

    def reset_after(self, num_bytes: int, direction: Direction) -> None:
        """Reset (RST to both sides) the connection that passes the ``num_bytes``-th byte from now; once."""

        def arm() -> None:
            self._reset_at[direction] = self.passed[direction] + num_bytes

        self._command(arm)

    def reset(self) -> None:
        """Reset all connections now."""
        self._command(lambda: [connection.task.cancel() for connection in self._connections if connection.task])

    def delay(self, seconds: float) -> None:
        """Hold back each piece of at most 16 KiB for so long."""
        self._command(lambda: setattr(self, "_delay_s", seconds))

    def black_hole(self) -> None:
        """Accept, read and answer nothing, on connections that exist and on new ones."""

        def swallow() -> None:
            self._swallows = True
            for connection in self._connections:
                connection.swallows = True

        self._command(swallow)

    def lose_answers(self) -> None:
        """Forward what clients send, and lose what they would get, on connections that exist."""

        def lose() -> None:
            for connection in self._connections:
                connection.loses_answers = True

        self._command(lose)

    def half_open(self) -> None:
        """Let the upstream's end of all connections vanish without telling the clients; new ones are forwarded."""

        def lose() -> None:
            for connection in self._connections:
                connection.swallows = True
                if "down" in connection.pumps:
                    connection.pumps["down"].cancel()
                self._drop_upstream(connection)

        self._command(lose)

    def refuse(self) -> None:
        """Stop listening: new connections are refused. Those that exist go on."""
        self._command(self._stop_listening)

    def close(self) -> None:
        """End everything."""
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_COMMAND_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_COMMAND_S)
            self._loop.close()

    def __enter__(self) -> "FaultProxy":
        """Return it."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self.close()

    def _command(self, do: Callable[[], Result]) -> Result:
        async def run() -> Result:
            return do()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_COMMAND_S)

    def _listen(self) -> None:
        if self._listening is None:
            listening = socket.socket()
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", self._port))
            listening.listen()
            listening.setblocking(False)
            self._listening, self._port = listening, listening.getsockname()[1]
            self._loop.add_reader(listening, self._accept, listening)

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._loop.remove_reader(self._listening)
            self._listening.close()
            self._listening = None

    async def _end(self) -> None:
        self._stop_listening()
        tasks = [connection.task for connection in self._connections if connection.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, listening: socket.socket) -> None:
        # In one piece: a task that awaits the accepting loses the connection when it is cancelled at that moment
        try:
            client, _ = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # the client is gone again
        client.setblocking(False)
        self.accepted += 1
        connection = _Connection(client)
        connection.swallows = self._swallows
        self._connections.add(connection)
        connection.task = self._loop.create_task(self._serve(connection))
        # One that is cancelled before its first step, or twice, does not come to its own end
        connection.task.add_done_callback(functools.partial(self._forget, connection))

    async def _serve(self, connection: _Connection) -> None:
        """Forward both ways until both sides have ended, or one is reset; then both are."""
        reset = True
        try:
            if not connection.swallows:
                connection.upstream = upstream = socket.socket()
                upstream.setblocking(False)
                await self._loop.sock_connect(upstream, self._upstream)
                upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.pumps["down"] = self._loop.create_task(self._pump(connection, "down"))
            connection.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.pumps["up"] = self._loop.create_task(self._pump(connection, "up"))
            ended, _ = await asyncio.wait(connection.pumps.values(), return_when=asyncio.FIRST_EXCEPTION)
            reset = any(not pump.cancelled() and pump.exception() for pump in ended)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.resets += reset
            for pump in connection.pumps.values():
                pump.cancel()
            await asyncio.gather(*connection.pumps.values(), return_exceptions=True)
            self._drop_upstream(connection)
            _close(connection.client, reset=reset)

    def _forget(self, connection: _Connection, task: "asyncio.Task[None]") -> None:
        self._drop_upstream(connection)
        _close(connection.client, reset=True)
        self._connections.discard(connection)

    def _drop_upstream(self, connection: _Connection) -> None:
        if connection.upstream is not None:
            self._loop.remove_reader(connection.upstream)
            self._loop.remove_writer(connection.upstream)
            _close(connection.upstream, reset=True)
            connection.upstream = None

    async def _pump(self, connection: _Connection, direction: Direction) -> None:
        source = connection.client if direction == "up" else connection.upstream
        assert source is not None
        while data := await self._loop.sock_recv(source, _CHUNK_BYTES):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            if not (connection.swallows or (connection.loses_answers and direction == "down")):
                sink = connection.upstream if direction == "up" else connection.client
                assert sink is not None
                await self._forward(data, sink, direction)
        if not connection.swallows:
            other = connection.upstream if direction == "up" else connection.client
            assert other is not None
            with contextlib.suppress(OSError):
                other.shutdown(socket.SHUT_WR)

    async def _forward(self, data: bytes, sink: socket.socket, direction: Direction) -> None:
        at = self._reset_at[direction]
        ends = at is not None and self.passed[direction] + len(data) >= at
        if at is not None and ends:
            data = data[: at - self.passed[direction]]
            self._reset_at[direction] = None
        self.passed[direction] += len(data)
        await self._loop.sock_sendall(sink, data)
        if ends:
            raise _ResetNowError


@contextlib.contextmanager
def fault_proxies(addresses: list[str]) -> Iterator[list[FaultProxy]]:
    """Put a proxy before each address; close them at the end."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(FaultProxy(address)) for address in addresses]


def _close(end: socket.socket, *, reset: bool) -> None:
    if reset:  # without lingering, close() sends RST, and drops what is not sent yet
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
