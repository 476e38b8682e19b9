"""Runs ``esmm`` as it is, except that rank 1 of an elastic training kills itself in chosen steps, each once.

``DEATHS`` is a JSON list of ``[step, servers]``: after the ranks have summed up the step, its gradients still reach so
many servers, and rank 1 is gone. ``DIED`` is a folder that keeps what has happened, over all lives of the worker.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

HERE = (sys.executable, __file__)
WARM_WORKER = "launcher.elastic.warm_worker"


def die_in_steps() -> None:
    """Have pushes of rank 1 end the process."""
    from esmm_dist.server.client import RemoteStore

    push, deaths = RemoteStore.push, dict(json.loads(os.environ["DEATHS"]))

    def push_or_die(self: RemoteStore, *args, step: int, **kwargs) -> None:
        mark = Path(os.environ["DIED"], str(step))
        if self._run.rank == 1 and step in deaths and not mark.exists():
            mark.touch()
            self._at_once = lambda call: [call(index) for index in range(deaths[step])]  # type: ignore[method-assign]
            push(self, *args, step=step, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)
        push(self, *args, step=step, **kwargs)

    RemoteStore.push = push_or_die  # type: ignore[method-assign]


def main() -> int:
    """Run the command, or the worker that an agent of this program warms."""
    if sys.argv[1] == WARM_WORKER:
        from launcher.elastic.warm_worker import main as warm_worker

        die_in_steps()
        return warm_worker(sys.argv[2:])
    from launcher.cli import main as esmm
    from launcher.commands import COMMANDS

    if sys.argv[1] == "agent":
        from launcher.elastic import worker_process

        vars(worker_process)["WARM_WORKER"] = (*HERE, WARM_WORKER)
    if sys.argv[1] == "local":
        from launcher.commands.local import check_line
        from launcher.local.run import run_local

        def run(settings, progress):
            return run_local(settings, progress, check=check_line, esmm=HERE)

        COMMANDS["local"] = replace(COMMANDS["local"], run=run)
    return esmm()


if __name__ == "__main__":
    sys.exit(main())
