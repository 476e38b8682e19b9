"""A server that speaks S3, run by a test: moto, as a process of its own on a free port."""

import contextlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

open_directly = urllib.request.build_opener(urllib.request.ProxyHandler({})).open  # whatever the environment names

_STARTS_WITHIN_S = 60


class S3Server:
    """Use it as a context manager. It keeps its objects in memory; a second ``close`` is harmless."""

    def __init__(self) -> None:
        """Start it."""
        self._folder = tempfile.TemporaryDirectory()
        log = Path(self._folder.name) / "log"
        with log.open("wb") as file:
            command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
            self._process = subprocess.Popen(command, stdout=file, stderr=file)
        end = time.monotonic() + _STARTS_WITHIN_S
        while (found := re.search(r"Running on http://(127\.0\.0\.1:\d+)", log.read_text())) is None:
            if self._process.poll() is not None or time.monotonic() > end:
                text = log.read_text()
                self.close()
                raise AssertionError(f"The S3 server did not start: {text}")
            time.sleep(0.02)
        self.address = found[1]

    def uri(self, path: str, *, key: str = "akey", secret: str = "asecret") -> str:
        """Return the URI of ``BUCKET/PATH``, with credentials and the address of this server."""
        address = quote(self.address, safe="")
        return f"s3://{key}:{quote(secret, safe='')}@{path}?scheme=http&endpoint_override={address}"

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        with open_directly(urllib.request.Request(f"http://{self.address}/{name}", method="PUT")):
            pass

    def refuse_after(self, requests: float) -> None:
        """Answer this many requests from now on, and all others with "access denied". Infinity: answer all again."""
        url = f"http://{self.address}/moto-api/reset-auth"
        headers = {"Content-Type": "text/plain"}
        with open_directly(urllib.request.Request(url, data=str(requests).encode(), headers=headers)):
            pass

    def close(self) -> None:
        """Kill the server."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def __enter__(self) -> "S3Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
