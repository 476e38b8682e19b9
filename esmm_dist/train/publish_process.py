"""One publishing, in a process of its own beside the training."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from esmm_dist.config import build, to_mapping
from esmm_dist.inference.publish_version import PublishedVersion, PublishOrder
from esmm_dist.process.progress_events import replay, split_event
from esmm_dist.process.tied_process import tied_to_this_process
from esmm_dist.progress import Progress

PUBLISH = (sys.executable, "-P", "-m", "esmm_dist.inference.publish_main")

_OF_RANKS = ("HOROVOD_", "OMPI_", "PMI_", "PMIX_")
"""Beginnings of variables that would make the process a rank of the training."""


class PublishProcess:
    """Exports and publishes one checkpoint while this process goes on.

    The kernel kills it when this process ends, whatever ends it; ``end`` ends it earlier. One thread uses this, the one
    that made it: the kernel goes by that thread's end.
    """

    def __init__(self, order: PublishOrder, folder: Path) -> None:
        """Start it.

        Args:
            order: what is published, and where
            folder: folder of this machine, for what it prints

        Raises:
            OSError: The system refuses.
        """
        self.step = order.step
        """Step of the checkpoint that is published."""
        self._report, self._errors = folder / "report", folder / "errors"
        with self._report.open("wb") as report, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                tied_to_this_process(PUBLISH),
                stdin=subprocess.PIPE,
                stdout=report,
                stderr=errors,
                env=_environment(os.environ),
                start_new_session=True,  # Ctrl-C at a terminal is for the training
            )
        assert self._process.stdin is not None
        try:
            # Not on the command line, which others see: places may hold credentials
            self._process.stdin.write(json.dumps(to_mapping(order)).encode())
            self._process.stdin.close()
        except BrokenPipeError:  # it has ended; its outcome says why
            pass
        self._read: IO[str] = self._report.open(encoding="utf-8", errors="replace")
        self._rest = ""
        self._result: Mapping[str, Any] = {}

    def has_ended(self) -> bool:
        """Return whether it has ended; costs microseconds."""
        return self._process.poll() is not None

    def show(self, progress: Progress) -> None:
        """Report what it has done since the last call; of its messages warnings alone."""
        shown = _WarningsOnly(progress)
        for line in self._new_lines():
            _, event = split_event(line)
            if event:
                replay(event, shown)
            elif line.startswith("{"):
                self._result = json.loads(line)

    def outcome(self, progress: Progress) -> PublishedVersion | str:
        """Return the version, or why there is none; it must have ended."""
        self.show(progress)
        self._read.close()
        status = self._process.wait()
        if "published" in self._result:
            return build(PublishedVersion, self._result["published"], where="the publishing process")
        if "error" in self._result:
            return str(self._result["error"])
        text = self._errors.read_text(encoding="utf-8", errors="replace").strip()
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        of_memory = ", as a process does that takes more memory than there is" if status == -signal.SIGKILL else ""
        said = f": {text.splitlines()[-1]}" if text else of_memory
        return f"Its process ended {how}{said}."

    def end(self) -> None:
        """Kill it, unless it has ended; what it leaves half done has a hidden name. A second call is harmless."""
        self._process.kill()
        self._process.wait()
        self._read.close()

    def _new_lines(self) -> list[str]:
        self._rest += self._read.read()
        *lines, self._rest = self._rest.split("\n")
        return lines


class _WarningsOnly:
    """Passes progress on, and of the messages only warnings."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.start, self.advance, self.finish = progress.start, progress.advance, progress.finish

    def message(self, text: str) -> None:
        if text.startswith("Warning"):
            self._progress.message(f"Publishing: {text}")


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the process: no rank, without a GPU, and with the modules that are found here."""
    kept = {name: value for name, value in own.items() if not name.startswith(_OF_RANKS)}
    modules = os.pathsep.join(path for path in sys.path if path)  # a network of the user's own may be among them
    return {**kept, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": modules}
