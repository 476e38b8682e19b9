"""Which processes ``esmm local`` starts: their command lines and environments, computed without starting anything."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from esmm_dist.ranks.rendezvous.signing import PLACE
from launcher.local.config import LocalConfig
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


def plan_servers(
    count: int, *, token_file: str, address_files: Sequence[str], esmm: Sequence[str] = ESMM
) -> list[ProcessPlan]:
    """Plan the parameter servers, each on a free port of the loopback interface.

    Args:
        count: Number of servers.
        token_file: Holds the token that they ask for.
        address_files: Where server i writes its HOST:PORT once it listens.
        esmm: The words that run ``esmm``.
    """
    return [
        plan_server(i, count, bind=FREE_PORT, token_file=token_file, address_file=address_files[i], esmm=esmm)
        for i in range(count)
    ]


def plan_server(
    index: int, count: int, *, bind: str, token_file: str, address_file: str, esmm: Sequence[str] = ESMM
) -> ProcessPlan:
    """Plan one parameter server; ``bind`` is the HOST:PORT that it listens on."""
    return ProcessPlan(
        name=f"server {index}",
        command=(
            *(*esmm, "server", "--index", str(index), "--count", str(count), "--bind", bind),
            *("--token-file", token_file, "--address-file", address_file),
        ),
        environment={"PYTHONUNBUFFERED": "1", PROGRESS_FORM: ""},
    )


def plan_agent(
    name: str,
    command: Sequence[str],
    *,
    local_rank: int,
    addresses: Sequence[str],
    token_file: str,
    address_file: str,
    grace_seconds: float,
    standby: bool = False,
    esmm: Sequence[str] = ESMM,
) -> ProcessPlan:
    """Plan the agent of one worker of an elastic training.

    Args:
        name: Of the worker.
        command: The words after ``esmm`` that the worker runs.
        local_rank: Number of the worker on this machine: it takes the GPU of that number.
        addresses: HOST:PORT of each server, in order.
        token_file: Holds the token of servers and agents.
        address_file: Where the agent writes its HOST:PORT once it listens.
        grace_seconds: That the worker has to leave after SIGTERM.
        standby: Whether it keeps a second, warm worker beside one that runs.
        esmm: The words that run ``esmm``.
    """
    return ProcessPlan(
        name=name,
        command=(
            *(*esmm, "agent", "--name", name, "--bind", FREE_PORT, "--address-file", address_file),
            *("--token-file", token_file, "--local-rank", str(local_rank), "--grace-seconds", f"{grace_seconds:g}"),
            *(("--standby", "--") if standby else ("--",)),
            *(*command, "--servers", ",".join(addresses), "--token-file", token_file),
        ),
        environment={"PYTHONUNBUFFERED": "1", PROGRESS_FORM: "json"},
        reports=True,  # the worker that is rank 0 prints the report, whichever that is
    )


def plan_driver(
    run: str,
    *,
    addresses: Sequence[str],
    token_file: str,
    agents_file: str,
    beat_file: str,
    bounds: tuple[int, int],
    stall_seconds: float,
    esmm: Sequence[str] = ESMM,
) -> ProcessPlan:
    """Plan the driver of an elastic training.

    Args:
        run: Folder or URI of the run.
        addresses: HOST:PORT of each server, in order.
        token_file: Holds the token of servers and agents.
        agents_file: Lists the agents.
        beat_file: Gets the driver's signs of life.
        bounds: The least and the most workers.
        stall_seconds: After which a worker is replaced.
        esmm: The words that run ``esmm``.
    """
    least, most = bounds
    return ProcessPlan(
        name="driver",
        command=(
            *(*esmm, "driver", "--run", run, "--servers", ",".join(addresses), "--token-file", token_file),
            *("--agents-file", agents_file, "--beat-file", beat_file),
            *("--min-workers", str(least), "--max-workers", str(most), "--stall-seconds", f"{stall_seconds:g}"),
        ),
        environment={"PYTHONUNBUFFERED": "1", PROGRESS_FORM: ""},
    )


def plan_workers(
    count: int,
    command: Sequence[str],
    *,
    addresses: Sequence[str],
    token_file: str,
    rendezvous_place: str | None,
    inherited: Mapping[str, str],
    esmm: Sequence[str] = ESMM,
) -> list[ProcessPlan]:
    """Plan the workers.

    Args:
        count: Number of workers (ranks).
        command: The words after ``esmm``.
        addresses: HOST:PORT of each server, in order; none: the table is embedded.
        token_file: Holds the servers' token.
        rendezvous_place: Of the rendezvous: HOST:PORT/NONCE; None only for one worker, which needs none.
        inherited: The environment that workers start from.
        esmm: The words that run ``esmm``.
    """
    servers = ("--servers", ",".join(addresses), "--token-file", token_file) if addresses else ("--servers", "embedded")
    plans = []
    for rank in range(count):
        environment = {"PYTHONUNBUFFERED": "1", PROGRESS_FORM: "json"}
        if rendezvous_place is not None:
            environment |= horovod_environment(rank, count, rendezvous_place)
            environment[GLOO_TIMEOUT] = inherited.get(GLOO_TIMEOUT, GLOO_TIMEOUT_S)
        plans.append(
            ProcessPlan(
                name=f"worker {rank}",
                command=(*esmm, *command, *servers),
                environment=environment,
                reports=rank == 0,
            )
        )
    return plans


def horovod_environment(rank: int, size: int, rendezvous_place: str) -> dict[str, str]:
    """Return what tells a process of this machine its place among the ranks, and where they meet."""
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


def dry_run(config: LocalConfig, inherited: Mapping[str, str]) -> list[ProcessPlan]:
    """Plan everything, with names in angle brackets for what is known only when servers run."""
    return [
        *plan_servers(config.servers, token_file=SECRET, address_files=_unknown_files("server", config.servers)),
        *plan_workers(
            config.num_workers,
            config.worker_command,
            addresses=_unknown_addresses(config.servers),
            token_file=SECRET,
            rendezvous_place=UNKNOWN_PLACE if config.num_workers > 1 else None,
            inherited=inherited,
        ),
    ]


def dry_run_elastic(config: LocalConfig, run: str) -> list[ProcessPlan]:
    """Plan everything of an elastic training, as ``dry_run`` does."""
    addresses = _unknown_addresses(config.servers)
    driver = plan_driver(
        run,
        addresses=addresses,
        token_file=SECRET,
        agents_file="<folder>/agents.json",
        beat_file="<folder>/driver.json",
        bounds=config.bounds,
        stall_seconds=config.stall_seconds,
    )
    agents = [
        plan_agent(
            f"worker-{number}",
            config.worker_command,
            local_rank=number,
            addresses=addresses,
            token_file=SECRET,
            address_file=file,
            grace_seconds=config.grace_seconds,
            standby=config.standby,
        )
        for number, file in enumerate(_unknown_files("agent", config.num_workers))
    ]
    servers = plan_servers(config.servers, token_file=SECRET, address_files=_unknown_files("server", config.servers))
    return [*servers, driver, *agents]


def _unknown_files(kind: str, count: int) -> list[str]:
    return [str(Path("<folder>") / f"{kind}-{number}") for number in range(count)]


def _unknown_addresses(servers: int) -> list[str]:
    return [f"<address of server {index}>" for index in range(servers)]


def plan_lines(plans: Sequence[ProcessPlan]) -> list[str]:
    """Return plans for a reader: a line with the command, and one for each variable."""
    lines = []
    for plan in plans:
        lines.append(f"{plan.name}: {shlex.join(plan.command)}")
        for name, value in plan.environment.items():
            lines.append(f"    {name}={value if value == UNKNOWN_PLACE else shlex.quote(value)}")
    return lines
