"""A rendezvous for tests, with two workers of which one may join, asked over real sockets."""

import http.client
from typing import Any

from launcher.driver.announcements import Announcements

TOKEN = "0123456789abcdef"


class Members:
    """Two workers of which one has joined."""

    def __init__(self) -> None:
        self.announcements: dict[str, Announcements] = {}

    def place_of(self, host: str, slot: int) -> str:
        return f"{slot},2,0,1,0,1" if host == "worker-0.0" else "-1,-1,-1,-1,-1,-1"

    def joined(self, host: str, slot: int) -> bool:
        if host != "worker-0.0":
            return False
        self.announcements[host] = Announcements()
        return True

    def changes(self, host: str, slot: int, after: int, timeout_s: float) -> int | None:
        found = self.announcements.get(host)
        return None if found is None else found.wait(after, timeout_s)


def ask(place: Any, method: str, path: str, body: bytes = b"", headers: Any = None) -> tuple[int, bytes]:
    """Ask without any of the client's own checks."""
    connection = http.client.HTTPConnection(place.host, place.port, timeout=20)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found
