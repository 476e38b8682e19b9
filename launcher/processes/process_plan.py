"""What a child process is: its name, its command line and its environment; nothing is started here."""

from collections.abc import Mapping
from dataclasses import dataclass

from esmm_dist.ranks.rendezvous.signing import PLACE
from launcher.terminal.streams import CHILD_ENCODING

NOT_INHERITED = frozenset(
    {
        *("HOROVOD_HOSTNAME", "HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_LOCAL_RANK", "HOROVOD_LOCAL_SIZE"),
        *("HOROVOD_CROSS_RANK", "HOROVOD_CROSS_SIZE", "HOROVOD_GLOO_RENDEZVOUS_ADDR", "HOROVOD_GLOO_RENDEZVOUS_PORT"),
        *("HOROVOD_CONTROLLER", "HOROVOD_CPU_OPERATIONS", "HOROVOD_GLOO_IFACE", "HOROVOD_ELASTIC", PLACE),
    }
)
"""Variables that would make a process believe that it belongs to another job."""


@dataclass(frozen=True, kw_only=True)
class ProcessPlan:
    """A process to start."""

    name: str
    """As users see it: ``worker 0``."""
    command: tuple[str, ...]
    environment: Mapping[str, str]
    """Variables on top of the inherited ones."""
    reports: bool = False
    """Whether its stdout is the report of the whole; the stdout of the others is a log like stderr."""


def without_rank(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables that give a process its place in a job."""
    return {name: value for name, value in inherited.items() if name not in NOT_INHERITED}


def full_environment(plan: ProcessPlan, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a process."""
    return {**without_rank(inherited), **CHILD_ENCODING, **plan.environment}
