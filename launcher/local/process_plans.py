"""Which processes ``esmm local`` starts: their command lines and environments, computed without starting anything."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from esmm_dist.ranks.rendezvous.signing import PLACE
from launcher.local.config import LocalConfig
from launcher.local.workspace import Workspace
from launcher.processes.process_plan import ProcessPlan
from launcher.terminal.progress import PROGRESS_FORM

ESMM = (sys.executable, "-P", "-m", "launcher")
"""Runs ``esmm`` of this very installation, whatever is on the path or in the current folder (-P)."""

GLOO_TIMEOUT = "HOROVOD_GLOO_TIMEOUT_SECONDS"
GLOO_TIMEOUT_S = "120"
"""Seconds within which all workers must reach ``hvd.init()``. Horovod's 30 are short where many processes import
TensorFlow on few cores; a worker that dies is noticed by ``esmm local`` at once, not by this limit."""

FREE_PORT = "127.0.0.1:0"
"""A free port of the loopback interface."""

UNKNOWN_PLACE = "<where workers meet>"
"""Stands for the address of the rendezvous in what ``--dry-run`` prints."""

SECRET = "<token file>"
"""Stands for the path of the token in what ``--dry-run`` prints."""


@dataclass(frozen=True, kw_only=True)
class ProcessPlans:
    """Plans the processes of one ``esmm local``."""

    config: LocalConfig
    workspace: Workspace
    """Holds the address files; nothing is read from it."""
    token_file: str
    """File with the token that servers, agents and the driver ask for."""
    esmm: Sequence[str] = ESMM
    """The words that run ``esmm``."""

    def servers(self) -> list[ProcessPlan]:
        """Plan the parameter servers, each on a free port of the loopback interface."""
        return [self.server(index) for index in range(self.config.servers)]

    def server(self, index: int, *, bind: str = FREE_PORT) -> ProcessPlan:
        """Plan one parameter server, which writes its HOST:PORT into its address file once it listens.

        Args:
            index: index of the server
            bind: HOST:PORT on which it listens
        """
        return ProcessPlan(
            name=f"server {index}",
            command=(
                *(*self.esmm, "server", "--index", str(index), "--count", str(self.config.servers), "--bind", bind),
                *("--token-file", self.token_file, "--address-file", str(self.workspace.address_file(index))),
            ),
            environment={"PYTHONUNBUFFERED": "1", PROGRESS_FORM: ""},
        )

    def workers(
        self, addresses: Sequence[str], rendezvous_place: str | None, inherited: Mapping[str, str]
    ) -> list[ProcessPlan]:
        """Plan the workers of a training that is not elastic, or of another command.

        Args:
            addresses: HOST:PORT of each server, in order; none: the table is embedded
            rendezvous_place: HOST:PORT/NONCE of the rendezvous; None for one worker, which needs none
            inherited: environment that workers start from
        """
        timeout_s = inherited.get(GLOO_TIMEOUT, GLOO_TIMEOUT_S)
        plans = []
        for rank in range(self.config.num_workers):
            environment = {"PYTHONUNBUFFERED": "1", PROGRESS_FORM: "json"}
            if rendezvous_place is not None:
                environment |= horovod_environment(rank, self.config.num_workers, rendezvous_place)
                environment[GLOO_TIMEOUT] = timeout_s
            command = (*self.esmm, *self.config.worker_command, *self._servers_flags(addresses))
            plans.append(
                ProcessPlan(name=f"worker {rank}", command=command, environment=environment, reports=rank == 0)
            )
        return plans

    def driver(self, run: str, addresses: Sequence[str]) -> ProcessPlan:
        """Plan the driver of an elastic training.

        Args:
            run: folder or URI of the run
            addresses: HOST:PORT of each server, in order
        """
        least, most = self.config.bounds
        return ProcessPlan(
            name="driver",
            command=(
                *(*self.esmm, "driver", "--run", run, *self._servers_flags(addresses)),
                *("--agents-file", str(self.workspace.agents_file), "--beat-file", str(self.workspace.beat_file)),
                *("--min-workers", str(least), "--max-workers", str(most)),
                *("--stall-seconds", f"{self.config.stall_seconds:g}"),
            ),
            environment={"PYTHONUNBUFFERED": "1", PROGRESS_FORM: ""},
        )

    def agent(self, index: int, start: int, addresses: Sequence[str]) -> ProcessPlan:
        """Plan the agent of one worker of an elastic training.

        Args:
            index: number of the worker on this machine: it takes the GPU of that number
            start: number of the start among those of all agents, which names the address file
            addresses: HOST:PORT of each server, in order
        """
        name, config = f"worker-{index}", self.config
        return ProcessPlan(
            name=name,
            command=(
                *(*self.esmm, "agent", "--name", name, "--bind", FREE_PORT),
                *("--address-file", str(self.workspace.agent_address_file(start)), "--token-file", self.token_file),
                *("--local-rank", str(index), "--grace-seconds", f"{config.grace_seconds:g}"),
                *(("--standby", "--") if config.standby else ("--",)),
                *(*config.worker_command, *self._servers_flags(addresses)),
            ),
            environment={"PYTHONUNBUFFERED": "1", PROGRESS_FORM: "json"},
            reports=True,  # the worker that is rank 0 prints the report, whichever that is
        )

    def _servers_flags(self, addresses: Sequence[str]) -> tuple[str, ...]:
        if not addresses:
            return ("--servers", "embedded")
        return ("--servers", ",".join(addresses), "--token-file", self.token_file)


def horovod_environment(rank: int, size: int, rendezvous_place: str) -> dict[str, str]:
    """Return what tells a process of this machine its place among the ranks, and where their rendezvous is."""
    return {
        "HOROVOD_HOSTNAME": "localhost",
        "HOROVOD_RANK": str(rank),
        "HOROVOD_SIZE": str(size),
        "HOROVOD_LOCAL_RANK": str(rank),
        "HOROVOD_LOCAL_SIZE": str(size),
        "HOROVOD_CROSS_RANK": "0",
        "HOROVOD_CROSS_SIZE": "1",
        PLACE: rendezvous_place,
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_IFACE": "lo",
    }


def dry_run(config: LocalConfig, run: str, inherited: Mapping[str, str]) -> list[ProcessPlan]:
    """Plan everything, with names in angle brackets for what is known only when servers run.

    Args:
        config: how many of each, and the workers' line
        run: folder or URI of the run
        inherited: environment that workers start from
    """
    plans = ProcessPlans(config=config, workspace=Workspace(folder=Path("<folder>")), token_file=SECRET)
    addresses = [f"<address of server {index}>" for index in range(config.servers)]
    if config.elastic:
        agents = [plans.agent(index, index, addresses) for index in range(config.num_workers)]
        return [*plans.servers(), plans.driver(run, addresses), *agents]
    place = UNKNOWN_PLACE if config.num_workers > 1 else None
    return [*plans.servers(), *plans.workers(addresses, place, inherited)]


def plan_lines(plans: Sequence[ProcessPlan]) -> list[str]:
    """Return plans for a reader: a line with the command, and one for each variable."""
    lines = []
    for plan in plans:
        lines.append(f"{plan.name}: {shlex.join(plan.command)}")
        for name, value in plan.environment.items():
            lines.append(f"    {name}={value if value == UNKNOWN_PLACE else shlex.quote(value)}")
    return lines
