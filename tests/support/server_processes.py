"""Real ``esmm server`` processes for tests: as many as asked for, on free ports, gone with the ``with`` block."""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ESMM = Path(sys.executable).with_name("esmm")
START_S = 120.0


@dataclass(frozen=True, kw_only=True)
class ServerProcesses:
    """Servers that listen."""

    processes: list[subprocess.Popen[bytes]]
    addresses: list[str]
    logs: list[Path]

    @property
    def servers(self) -> str:
        """The value of ``--servers``."""
        return ",".join(self.addresses)


@contextlib.contextmanager
def server_processes(count: int, *flags: str) -> Iterator[ServerProcesses]:
    """Start ``count`` servers with further flags; end them by SIGTERM, or SIGKILL if they do not go."""
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        files = [Path(temporary) / f"address-{index}" for index in range(count)]
        logs = [Path(temporary) / f"log-{index}" for index in range(count)]
        processes: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, processes)
        for index in range(count):
            line = [
                ESMM,
                "server",
                "--index",
                str(index),
                "--count",
                str(count),
                "--address-file",
                files[index],
                *flags,
            ]
            log = stack.enter_context(logs[index].open("wb"))
            processes.append(subprocess.Popen(list(map(str, line)), stdout=log, stderr=log))
        give_up = time.monotonic() + START_S
        while not all(file.exists() for file in files):
            dead = [p.poll() for p in processes if p.poll() is not None]
            assert not dead, "\n".join(log.read_text() for log in logs)
            assert time.monotonic() < give_up, "the servers did not start"
            time.sleep(0.02)
        addresses = [file.read_text().strip() for file in files]
        yield ServerProcesses(processes=processes, addresses=addresses, logs=logs)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
