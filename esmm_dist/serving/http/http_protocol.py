"""HTTP connections with limits: uvicorn's, whose heads may be neither large nor slow, and of whom there are so many.

A client that asks for no more than its head needs gets an answer; one that is cut off gets a status where it still can
read one: 431 for a large head, 400 for what is no HTTP. Slow heads, and connections beyond the limit, are closed.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from esmm_dist.serving.http.answers import error_answer
from esmm_dist.serving.limits import RequestLimits
from esmm_dist.serving.metrics import ServingMetrics

_OFFERS = (b"upgrade", b"http2-settings")


class GuardedProtocol(HttpToolsProtocol):
    """One connection. ``limits`` and ``metrics`` are set in the class that ``guarded_protocol`` returns."""

    limits: RequestLimits
    metrics: ServingMetrics

    _in_head = True
    _heads = 0
    """Heads that were complete so far."""
    _head_bytes = 0
    _too_large = False
    _timer: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    """Ends the connection, of which so much is not read that no more is written."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head, or close a connection that is one too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            self.metrics.dropped.labels("too_many_connections").inc()
            transport.abort()
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a piece of a request, or of several."""
        # In turns, not within each other: a client may send thousands of offers to upgrade at once
        while data and not self.transport.is_closing():
            data = self._read(data)

    def _read(self, data: bytes) -> bytes:
        """Read a piece; return what is still to be read."""
        if self._in_head and self._timer is None:
            self._start_timer()
        before, heads = self._in_head, self._heads
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("")
        except httptools.HttpParserUpgrade as e:
            return self._without_offer() + data[e.args[0] :]
        # A whole request may have come at once: then what follows is the next one's head, and this was not
        if before and self._in_head and heads == self._heads and not self.transport.is_closing():
            self._head_bytes += len(data)  # of what the parser keeps until a name or value is whole
            if self._head_bytes > self.limits.max_header_bytes:
                self._too_large = True
                self.send_400_response("")
        return b""

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those behind a chunked body are left out."""
        if self._in_head:
            super().on_header(name, value)
            self._count(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        """Let the application begin."""
        if self.parser.should_upgrade():  # the parser stops here, and takes the body for another protocol
            return
        self._in_head, self._head_bytes = False, 0
        self._heads += 1
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for the next head."""
        if self.parser.should_upgrade():
            return
        self._in_head = True
        self._stop_timer()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answers, but not for ever: they are kept in memory."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.limits.upload_timeout_s, self._give_up)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection without requests; one whose client has left an answer unread would never be closed."""
        if self.transport.get_write_buffer_size() > 0:
            self._give_up()
        else:
            super().timeout_keep_alive_handler()

    def on_response_complete(self) -> None:
        """Give the rest of a body that was refused the time of an upload to arrive, unread."""
        super().on_response_complete()
        if not self._in_head and not self.transport.is_closing():
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, and close."""
        if self._too_large:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            text = (
                f"the request's line and headers have more than {self.limits.max_header_bytes} bytes "
                "(--max-header-bytes). Send fewer"
            )
        else:
            status, text = (
                HTTPStatus.BAD_REQUEST,
                "this is no request of HTTP/1.1. Send one, or TLS where the port has it",
            )
        body = error_answer(status, text).body
        self.metrics.requests.labels("other", str(int(status))).inc()
        head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[int(status)] + head.encode() + body)
        self.transport.close()

    def _without_offer(self) -> bytes:
        """Return a head to be read again, without its offer to go on with another protocol, which nobody need accept.

        Java's client offers HTTP/2 so in each of its requests.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("")
            return b""
        lines = [method + b" " + self.url + b" HTTP/1.1"]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(each for each in value.split(b",") if each.strip().lower() not in _OFFERS)
            if name not in _OFFERS and value:
                lines.append(name + b": " + value)
        self._head_bytes = 0
        self.parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([*lines, b"", b""])

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.limits.max_header_bytes:
            self._too_large = True
            raise httptools.HttpParserError("the head is too large")

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.limits.upload_timeout_s, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        self.metrics.dropped.labels("slow_client").inc()
        self.transport.close()

    def _give_up(self) -> None:
        self._stalled = None
        self.metrics.dropped.labels("slow_client").inc()
        self.transport.abort()


def guarded_protocol(limits: RequestLimits, metrics: ServingMetrics) -> type[GuardedProtocol]:
    """Return the class of connections with these limits."""
    of: dict[str, Any] = {"limits": limits, "metrics": metrics, "__doc__": GuardedProtocol.__doc__}
    return type("LimitedProtocol", (GuardedProtocol,), of)
