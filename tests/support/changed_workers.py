"""Runs ``esmm`` as it is, except that workers of an elastic training are changed as the variable ``CHANGE`` says.

``die``: rank 1 kills itself in chosen steps, each once. ``DEATHS`` is a JSON list of ``[step, servers]``: after the
ranks have summed up the step, its gradients still reach so many servers, and rank 1 is gone. ``NOTES`` is a folder that
keeps what has happened, over all lives of the worker, a file a step.

``die between pulls``: rank 1 kills itself in the steps of ``DEATHS``, a JSON list, each once, when it has pulled ahead
and not yet the rest.

``gpus``: the machine seems to have two GPUs. Each worker writes which one it takes into a file of ``NOTES``.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

HERE = (sys.executable, __file__)
WARM_WORKER = "launcher.agent.warm_worker"


def die_in_steps() -> None:
    """Have pushes of rank 1 end the process."""
    from esmm_dist.parameter_server.remote_store import RemoteStore

    push, deaths = RemoteStore.push, dict(json.loads(os.environ["DEATHS"]))

    def push_or_die(self: RemoteStore, *args, step: int, **kwargs) -> None:
        mark = Path(os.environ["NOTES"], str(step))
        if self._run.rank == 1 and step in deaths and not mark.exists():
            mark.touch()
            servers = list(enumerate(self._servers))[: deaths[step]]
            self._servers.call = lambda call: [call(*server) for server in servers]  # type: ignore[method-assign]
            push(self, *args, step=step, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)
        push(self, *args, step=step, **kwargs)

    RemoteStore.push = push_or_die  # type: ignore[method-assign]


def die_between_pulls() -> None:
    """Have pulls of rank 1 that are half done end the process."""
    from esmm_dist.embedding.ticket import RowsAhead, Ticket
    from esmm_dist.parameter_server.row_pulls import RowPulls

    complete, deaths = RowPulls._complete, json.loads(os.environ["DEATHS"])

    def complete_or_die(self: RowPulls, ticket: Ticket, ahead: RowsAhead, step: int) -> bool:
        mark = Path(os.environ["NOTES"], str(step))
        if self._run.rank == 1 and step in deaths and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return complete(self, ticket, ahead, step)

    RowPulls._complete = complete_or_die  # type: ignore[method-assign]


def see_two_gpus() -> None:
    """Have TensorFlow list two GPUs, and note which is taken."""
    from esmm_dist.process.quiet import import_tfra

    import_tfra()
    import tensorflow as tf

    def take(gpu: SimpleNamespace, kind: str) -> None:
        Path(os.environ["NOTES"], str(os.getpid())).write_text(gpu.name)

    gpus = [SimpleNamespace(name=f"GPU {number}") for number in range(2)]
    tf.config.list_physical_devices = lambda kind=None: gpus
    tf.config.set_visible_devices = take
    tf.config.experimental.set_memory_growth = lambda device, grows: None


def main() -> int:
    """Run the command, or the worker that an agent of this program warms."""
    if sys.argv[1] == WARM_WORKER:
        from launcher.agent.warm_worker import main as warm_worker

        changes = {"die": die_in_steps, "die between pulls": die_between_pulls, "gpus": see_two_gpus}
        changes[os.environ["CHANGE"]]()
        return warm_worker(sys.argv[2:])
    from launcher.cli import main as esmm
    from launcher.commands import COMMANDS

    if sys.argv[1] == "agent":
        from launcher.agent import worker_process

        vars(worker_process)["WARM_WORKER"] = (*HERE, WARM_WORKER)
    if sys.argv[1] == "local":
        from launcher.local.run import run_local

        def run(settings, context):
            return run_local(settings, context.progress, check=context.settings_of_line, esmm=HERE)

        COMMANDS["local"] = replace(COMMANDS["local"], work=run)
    return esmm()


if __name__ == "__main__":
    sys.exit(main())
