"""Send requests to an HTTP server at times that do not depend on its answers, and measure how long each one takes.

    python -m tests.benchmarks.open_loop --address 127.0.0.1:8501 --path /v1/score --bodies FILE --rate 50 --seconds 30

A process of its own, standard library alone. Bodies are read before the clock starts, one a line; connections are kept.
A request's latency is counted from the time that it was meant to be sent at: what waits for a free connection, because
earlier answers are late, waits on the clock, and a pause of the server is seen by all that would have come in it (no
coordinated omission). With ``--closed``, each connection sends as soon as it has its answer: the most that the server
answers.
"""

import argparse
import gc
import itertools
import json
import math
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

START_S = 0.2
"""Between the last connection and the first request."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One request."""

    due_s: float
    """Time at which it was to be sent, on the monotonic clock that all processes share"""
    latency_s: float
    """From then to the last byte of the answer"""
    status: int
    """0: there was no answer"""
    version: str
    """Header X-Esmm-Version of the answer"""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What was sent, and how it was answered."""

    sent: tuple[Sent, ...]
    cpu_s: float
    """CPU time of the process that sent it"""

    @property
    def answered(self) -> tuple[Sent, ...]:
        """Requests with status 200."""
        return tuple(each for each in self.sent if each.status == 200)

    @property
    def failed(self) -> int:
        """Requests without an answer, or with another status."""
        return len(self.sent) - len(self.answered)

    @property
    def rate(self) -> float:
        """Answers a second, from the first due time to the last answer."""
        begin = min(each.due_s for each in self.sent)
        return len(self.answered) / (max(each.due_s + each.latency_s for each in self.sent) - begin)

    def latency_s(self, share: float) -> float:
        """Return the latency that this share of the requests does not exceed; one that failed is infinitely late."""
        return percentile([each.latency_s if each.status == 200 else math.inf for each in self.sent], share)

    def between(self, begin_s: float, end_s: float) -> "Load":
        """Return the requests that were due in a part of the time."""
        return Load(sent=tuple(each for each in self.sent if begin_s <= each.due_s < end_s), cpu_s=self.cpu_s)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that ``share`` of all values do not exceed (nearest rank); NaN of none."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else math.nan


def arrivals(rate: float, seconds: float, *, poisson: bool, seed: int = 1) -> Iterator[float]:
    """Yield the seconds after the start at which requests are due: evenly, or as independent users come."""
    generator, at = random.Random(seed), 0.0
    while at < seconds:
        yield at
        at += generator.expovariate(rate) if poisson else 1.0 / rate


class Connection:
    """One kept connection."""

    def __init__(self, host: str, port: int) -> None:
        """Connect."""
        self._place = host, port
        self._socket = self._connected()
        self._buffer = bytearray(1 << 20)

    def ask(self, request: bytes) -> tuple[int, str]:
        """Send a request, read all of its answer, return the status and the model's version.

        Raises:
            OSError: the connection is lost; the next request has a new one
        """
        try:
            self._socket.sendall(request)
            return self._read()
        except OSError:
            self._socket.close()
            self._socket = self._connected()
            raise

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _connected(self) -> socket.socket:
        connected = socket.create_connection(self._place, timeout=30)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def _read(self) -> tuple[int, str]:
        view, size, needed = memoryview(self._buffer), 0, 0
        head = b""
        while not head or size < needed:
            if size == len(view):
                raise OSError("the answer is larger than a megabyte")
            got = self._socket.recv_into(view[size:])
            if got == 0:
                raise ConnectionResetError("the server has closed the connection")
            size += got
            if not head and (end := self._buffer.find(b"\r\n\r\n", 0, size)) >= 0:
                head = bytes(view[:end]).lower()
                needed = end + 4 + int(_header(head, b"content-length") or b"0")
        return int(head[9:12]), _header(head, b"x-esmm-version").decode()


def _header(head: bytes, name: bytes) -> bytes:
    """Return the value of a header of a head in lower case; empty if there is none."""
    _, _, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip()


def send(
    address: str, requests: Sequence[bytes], due: Sequence[float] | float, *, connections: int, closed: bool = False
) -> Load:
    """Send requests, in their order and again from the first, and return what came of them.

    Args:
        address: HOST:PORT
        requests: whole requests, head and body
        due: seconds after the start at which each is sent; with ``closed`` the seconds in all
        connections: most requests that are under way at once
        closed: send as soon as a connection is free, instead
    """
    host, _, port = address.rpartition(":")
    open_connections = [Connection(host, int(port)) for _ in range(connections)]
    sent: list[Sent] = []
    numbers = itertools.count()  # taking the next one is one step of the interpreter: no two threads get the same
    cpu_s, start = time.process_time(), time.monotonic() + START_S

    def due_time(number: int) -> float | None:
        if isinstance(due, float):
            now = max(time.monotonic(), start)
            return now if now < start + due else None
        return start + due[number] if number < len(due) else None

    def work(connection: Connection) -> None:
        while (at := due_time(number := next(numbers))) is not None:
            wait_s = at - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
            try:
                status, version = connection.ask(requests[number % len(requests)])
            except OSError:
                status, version = 0, ""
            sent.append(Sent(due_s=at, latency_s=time.monotonic() - at, status=status, version=version))

    assert closed == isinstance(due, float)
    threads = [threading.Thread(target=work, args=(each,)) for each in open_connections]
    gc.disable()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.enable()
    for each in open_connections:
        each.close()
    return Load(sent=tuple(sorted(sent, key=lambda each: each.due_s)), cpu_s=time.process_time() - cpu_s)


def request_bytes(path: str, body: bytes) -> bytes:
    """Return a whole POST request."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def read_load(path: Path) -> Load:
    """Read what ``--out`` has written."""
    found = json.loads(path.read_text())
    return Load(sent=tuple(Sent(**each) for each in found["sent"]), cpu_s=found["cpu_s"])


def summary(load: Load) -> str:
    """Return what a person reads."""
    late = [f"{name} {1000 * load.latency_s(share):.2f}" for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))]
    return (
        f"sent {len(load.sent)}, answered {len(load.answered)}, failed {load.failed}, {load.rate:.1f} answers/s; "
        f"ms: {', '.join(late)}, max {1000 * load.latency_s(1.0):.2f}; own CPU {load.cpu_s:.2f} s"
    )


def main() -> None:
    """Send, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", required=True, help="HOST:PORT")
    parser.add_argument("--path", default="/v1/score")
    parser.add_argument("--bodies", type=Path, required=True, help="file of bodies, one a line, sent in turns")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--arrivals", choices=("poisson", "even"), default="poisson")
    parser.add_argument("--connections", type=int, default=32, help="most requests under way at once")
    parser.add_argument("--closed", action="store_true", help="send as fast as answers come; --rate has no meaning")
    parser.add_argument("--core", type=int, help="core to run on")
    parser.add_argument("--out", type=Path, help="file that gets every request")
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    sys.setswitchinterval(1e-4)  # a thread that wakes must not wait 5 ms for one that reads
    requests = [request_bytes(given.path, line) for line in given.bodies.read_bytes().splitlines()]
    due = list(arrivals(given.rate, given.seconds, poisson=given.arrivals == "poisson"))
    load = send(
        given.address,
        requests,
        given.seconds if given.closed else due,
        connections=given.connections,
        closed=given.closed,
    )
    print(summary(load))
    if given.out is not None:
        given.out.write_text(json.dumps(asdict(load)))


if __name__ == "__main__":
    main()
