"""Run lines of ``esmm`` in forked processes that kill themselves (-9) before their n-th change of a folder.

A helper process without TensorFlow imports the command once, and forks for each line: a killed line costs a tenth of a
second instead of a second. Changes are those that ``esmm_dist.storage`` makes on a disk or in a store: files written,
copied and deleted, folders renamed and deleted.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

KILLED = -signal.SIGKILL


class LineKiller:
    """The helper process, for a ``with`` block."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.killed_lines"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )

    def __enter__(self) -> "LineKiller":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()

    def run(self, line: Sequence[str], *, kill_before: int = 0) -> int:
        """Run a line, and kill it before the n-th change; 0: let it end. Return its exit status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"line": list(line), "kill_before": kill_before}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _count_changes(kill_before: int) -> None:
    """Have this process kill itself before a change."""
    from esmm_dist.storage import copy
    from esmm_dist.storage.folder import Folder

    changes = 0

    def counted(real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal changes
            changes += 1
            if changes == kill_before:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in ("write_bytes", "delete", "delete_file", "rename_to"):
        setattr(Folder, name, counted(getattr(Folder, name)))
    vars(copy)["copy_with_tries"] = counted(vars(copy)["copy_with_tries"])


def _serve() -> None:
    from launcher.cli import main
    from launcher.pipeline import run  # noqa: F401  # imported once, not in each fork

    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what lines print is no report
    for text in sys.stdin:
        asked = json.loads(text)
        child = os.fork()
        if child == 0:
            _count_changes(asked["kill_before"])
            status = main(asked["line"])
            sys.stdout.flush()
            os._exit(status)
        _, status = os.waitpid(child, 0)
        report.write(f"{os.waitstatus_to_exitcode(status)}\n")
        report.flush()


if __name__ == "__main__":
    _serve()
