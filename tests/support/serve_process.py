"""A real ``esmm serve`` for tests, on a free port, and a program that asks it without a pause."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.support.asked import ASKED

START_S = 120.0


@dataclass(frozen=True, kw_only=True)
class ServeProcess:
    """A server that listens."""

    process: subprocess.Popen[bytes]
    address: str
    log_file: Path

    @property
    def log(self) -> str:
        """What it has written."""
        return self.log_file.read_text()

    def workers(self) -> list[psutil.Process]:
        """Return its worker processes."""
        found = psutil.Process(self.process.pid).children()
        return [each for each in found if "esmm_dist.serving.processes.worker_process" in each.cmdline()]

    def ask(self, body: Any = ASKED) -> tuple[int, Any]:
        """Ask once, over a connection of its own; return the status and the answer."""
        with contextlib.closing(http.client.HTTPConnection(self.address, timeout=30)) as connection:
            return _ask(connection, "POST", "/v1/score", json.dumps(body).encode())

    def get(self, path: str) -> tuple[int, Any]:
        """Return status and JSON of a path."""
        with contextlib.closing(http.client.HTTPConnection(self.address, timeout=30)) as connection:
            return _ask(connection, "GET", path, None)

    def wait_for(self, what: str, times: int = 1) -> None:
        """Wait until it has written a text so often."""
        wait_until(lambda: self.log.count(what) >= times, lambda: f"no {what!r} in {self.log}")


@contextlib.contextmanager
def serve_process(models: Path | str, *flags: str, ready: bool = True) -> Iterator[ServeProcess]:
    """Start a server; end it by SIGTERM, or SIGKILL if it does not go.

    Args:
        models: value of ``models``
        *flags: further words of the command line
        ready: whether to wait until it answers
    """
    with tempfile.TemporaryDirectory() as temporary:
        address_file, log_file = Path(temporary) / "address", Path(temporary) / "log"
        line = [sys.executable, "-m", "launcher", "serve", str(models), "--port", "0", "--poll-s", "0.1"]
        line += ["--drain-s", "0.3", "--address-file", str(address_file), *flags]
        with log_file.open("wb") as log:
            process = subprocess.Popen(line, stdout=log, stderr=log)
        try:
            wait_until(lambda: address_file.exists() or process.poll() is not None, log_file.read_text)
            assert process.poll() is None, log_file.read_text()
            server = ServeProcess(process=process, address=address_file.read_text().strip(), log_file=log_file)
            if ready:
                server.wait_for("Try: curl")
            yield server
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What came of asking without a pause."""

    failed: list[str]
    """Why requests failed over a connection that was new."""
    answers: dict[str, list[Any]]
    """The different scores that were given by each version."""
    requests: int


class Asking:
    """A process that asks a server without a pause over some connections, each request after the one before."""

    def __init__(self, address: str, connections: int = 3) -> None:
        """Begin."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.serve_process", address, str(connections)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"asking\n"

    def end(self) -> Asked:
        """Stop, and return what came."""
        out, _ = self._process.communicate(b"stop\n", timeout=60)
        return Asked(**json.loads(out))


def wait_until(holds: Callable[[], Any], describe: Callable[[], str] = lambda: "waited too long") -> None:
    """Wait until a condition holds."""
    give_up = time.monotonic() + START_S
    while not holds():
        assert time.monotonic() < give_up, describe()
        time.sleep(0.02)


def _ask(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None) -> tuple[int, Any]:
    connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    reply = connection.getresponse()
    return reply.status, json.loads(reply.read())


def _ask_on(address: str, connections: int) -> dict[str, Any]:
    stop, lock = threading.Event(), threading.Lock()
    failed: list[str] = []
    answers: dict[str, list[Any]] = {}
    numbers: list[int] = []
    body = json.dumps(ASKED).encode()

    def ask() -> None:
        connection, requests, is_new = http.client.HTTPConnection(address, timeout=30), 0, True
        while not stop.is_set():
            try:
                status, answer = _ask(connection, "POST", "/v1/score", body)
            except (OSError, http.client.HTTPException) as e:
                connection.close()
                if is_new:
                    with lock:
                        failed.append(repr(e))
                    stop.wait(0.05)
                is_new = True
                continue
            is_new, requests = connection.sock is None, requests + 1
            with lock:
                if status != 200:
                    failed.append(f"{status}: {answer}")
                elif answer["scores"] not in (found := answers.setdefault(answer["version"], [])):
                    found.append(answer["scores"])
        numbers.append(requests)

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    for thread in threads:
        thread.start()
    print("asking", flush=True)
    sys.stdin.readline()
    stop.set()
    for thread in threads:
        thread.join()
    return {"failed": failed, "answers": answers, "requests": sum(numbers)}


def _main(words: Sequence[str]) -> None:
    print(json.dumps(_ask_on(words[0], int(words[1]))))


if __name__ == "__main__":
    _main(sys.argv[1:])
