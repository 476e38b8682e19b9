"""A worker that imports everything before it gets its rank: a start then costs no import of TensorFlow.

``python -m launcher.agent.warm_worker train --data ...`` imports, reports to its agent that it is ready, waits for one
JSON line on stdin, ``{"environment": {...}}``, and then is ``esmm train --data ...`` with these variables. Nothing that
it imports may look at Horovod's variables or at a GPU before that.
"""

import importlib
import json
import os
import sys
from collections.abc import Sequence

from esmm_dist.process.quiet import import_horovod, import_tfra
from launcher.agent.worker_link import worker_link
from launcher.terminal.streams import prepare_streams

EXIT_STATUS = 1
"""Exit status when the import fails."""


def main(command: Sequence[str]) -> int:
    """Import, wait, run; return the exit status of the command."""
    prepare_streams()
    link = worker_link()
    try:
        import_tfra()
        import_horovod()
        importlib.import_module("esmm_dist.train.trainer")
        cli = importlib.import_module("launcher.cli")
    except Exception as e:  # any: the agent shows it and tries again
        link.error(f"{type(e).__name__}: {e}", EXIT_STATUS)
        return EXIT_STATUS
    link.ready()
    line = sys.stdin.readline()
    if not line:  # the agent is gone
        return EXIT_STATUS
    os.environ.update(json.loads(line)["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    status: int = cli.main(command)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
