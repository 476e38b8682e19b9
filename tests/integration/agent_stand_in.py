"""``esmm agent`` with a worker that is no training: it is warm at once and ends as it is asked to, at no cost.

``agent_stand_in.py ARGS`` is ``esmm agent ARGS``. Its workers run this file again, and look into the folder DATA of
``--data DATA``: while ``DATA/cold`` exists they warm, with ``DATA/broken`` they fail to. Started, they make one step,
unless ``DATA/waits`` exists, and run until SIGTERM (exit status 0), which they ignore if ``DATA/stubborn`` exists, or
SIGINT (exit status 3).
"""

import os
import signal
import sys
import time
from pathlib import Path

from launcher.agent.worker_link import worker_link

WORKER = "worker"


def work(data: Path) -> None:
    """Be the worker; it never returns."""
    link = worker_link()
    if (data / "broken").exists():
        link.error("ImportError: no such library", 1)
        sys.exit(1)
    while (data / "cold").exists():
        time.sleep(0.01)
    link.ready()
    if not sys.stdin.readline():
        sys.exit(1)
    signal.signal(signal.SIGINT, lambda *_: os._exit(3))
    if not (data / "stubborn").exists():
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    link.note(rank=0, size=1)
    while (data / "waits").exists():
        time.sleep(0.01)
    link.note(step=1, impressions=16)
    while True:  # short sleeps: a signal that another thread receives ends none
        time.sleep(0.05)


if __name__ == "__main__":
    if sys.argv[1] == WORKER:
        work(Path(sys.argv[sys.argv.index("--data") + 1]))
    from launcher import cli  # not in the worker: it would be most of its cost
    from launcher.agent import worker_process

    worker_process.WARM_WORKER = (sys.executable, "-P", __file__, WORKER)
    sys.exit(cli.main(["agent", *sys.argv[1:]]))
