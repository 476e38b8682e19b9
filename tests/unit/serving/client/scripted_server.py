"""A server that answers each connection as a script says: what a real one cannot be asked for, such as hanging up."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.certificates import Pair

CLOSE, SILENCE = "close", "silence"
"""Instead of an answer: hang up once the request has come; say nothing."""


@dataclass
class Scripted:
    """What a server has been asked."""

    url: str
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    """Request line, headers in lower case, body"""
    connections: int = 0


def answer(body: Any, status: int = 200, *, headers: str = "", then_close: bool = False) -> tuple[bytes, bool]:
    """Return the bytes of an answer, and whether the connection is closed after it without a word of that."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} -\r\nContent-Length: {len(text)}\r\n{headers}\r\n"
    return head.encode() + text, then_close


@contextlib.contextmanager
def scripted_server(script: Sequence[tuple[bytes, bool] | str], *, pair: Pair | None = None) -> Iterator[Scripted]:
    """Answer the requests in the order of the script, whatever connection they come by."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        scheme = "http" if pair is None else "https"
        seen = Scripted(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}")
        left = list(script)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    raw, _ = listening.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), raw:
                    seen.connections += 1
                    if pair is None:
                        talk(raw)
                    else:
                        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                        context.load_cert_chain(pair.cert, pair.key)
                        with context.wrap_socket(raw, server_side=True) as encrypted:
                            talk(encrypted)

        def talk(connection: socket.socket) -> None:
            with connection.makefile("rb") as incoming:
                while line := incoming.readline():
                    headers = {}
                    while (text := incoming.readline().strip()) != b"":
                        name, _, value = text.decode().partition(": ")
                        headers[name.lower()] = value
                    body = incoming.read(int(headers.get("content-length", "0")))
                    seen.requests.append((line.decode().strip(), headers, json.loads(body) if body else None))
                    said = left.pop(0)
                    if said == CLOSE:
                        return
                    if said == SILENCE:
                        over.wait(20)
                        return
                    assert not isinstance(said, str)
                    connection.sendall(said[0])
                    if said[1]:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # wakes accept
            thread.join(20)
            assert not thread.is_alive()
