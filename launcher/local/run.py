"""Start servers, then workers; watch them; say how it ended."""

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from esmm_dist.errors import EsmmError
from esmm_dist.input.order import idle_ranks_warning
from esmm_dist.process.signals import SignalInbox
from esmm_dist.progress import Progress
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.secret_file import read_token
from launcher.command import RUN_AGAIN, Outcome
from launcher.driver.rendezvous_server import rendezvous
from launcher.local.config import LocalConfig
from launcher.local.elastic import ElasticSupervisor
from launcher.local.process_plans import ESMM, ProcessPlans, dry_run, plan_lines
from launcher.local.screen import Screen
from launcher.local.supervisor import Supervisor, not_listening
from launcher.local.workspace import Workspace, open_workspace
from launcher.processes.ending import LocalError, problem
from launcher.processes.process_plan import ProcessPlan
from launcher.run_files.log_files import FOLDER_NAME, LogFiles
from launcher.run_files.run_record import StopRequests, recorded
from launcher.terminal.progress import BarProgress

STOPPED = f"Stopped by {{}}. {RUN_AGAIN}"


def run_local(
    config: LocalConfig, progress: Progress, *, check: Callable[[Sequence[str]], Any], esmm: Sequence[str] = ESMM
) -> Outcome:
    """Run the workers' command to its end.

    Args:
        config: how many processes, and what they run
        progress: shows the lines of all processes, and the progress of rank 0
        check: returns the settings of the workers' command line, or raises what is wrong with it, before anything is
            started
        esmm: the words that run ``esmm``

    Returns:
        What rank 0 printed.

    Raises:
        EsmmError: The workers' line is wrong, or a process failed; with the exit status of the one that failed.
        KeyboardInterrupt: Ctrl-C came before the workers could save, or twice.
    """
    settings = check(config.worker_command)
    if config.trains:
        for line in idle_workers(settings.data, config.bounds[1] if config.elastic else config.num_workers):
            progress.message(f"Warning: {line}")
    if config.dry_run:
        processes = dry_run(config, settings.run, os.environ)
        return Outcome(lines=plan_lines(processes), result={"processes": [_plan_result(each) for each in processes]})
    screen = Screen(progress, _process_names(config), colours=isinstance(progress, BarProgress))
    with contextlib.ExitStack() as stack:
        stop_requested: Callable[[], bool] = _nobody_asks
        if config.trains:
            run = Folder.open(settings.run)
            stack.enter_context(recorded(run, config.line))
            stop_requested = StopRequests(run).pending
            if run.is_local:
                screen.logs = LogFiles(run.local_path / FOLDER_NAME, progress.message)
                stack.callback(screen.logs.close)
        signals = stack.enter_context(SignalInbox())
        workspace = stack.enter_context(open_workspace())
        plans = ProcessPlans(config=config, workspace=workspace, token_file=str(workspace.token_file), esmm=esmm)
        if config.elastic:
            elastic = ElasticSupervisor(plans, settings.run, screen, signals, stop_requested=stop_requested)
            return _run_elastic(stack.enter_context(elastic), screen, config)
        supervisor = Supervisor(
            screen,
            signals,
            grace_s=config.grace_seconds,
            environment=workspace.environment(os.environ),
            stop_requested=stop_requested,
        )
        return _run_static(stack.enter_context(supervisor), screen, plans)


def idle_workers(data: Path, workers: int) -> list[str]:
    """Return a sentence about workers that have no lane of a data set to read, if there are any.

    A data set that cannot be read is for the workers to say.
    """
    try:
        return idle_ranks_warning(read_manifest(data), workers)
    except EsmmError:
        return []


def _nobody_asks() -> bool:
    return False


def _process_names(config: LocalConfig) -> list[str]:
    servers = [f"server {index}" for index in range(config.servers)]
    if config.elastic:
        return [*servers, "driver", *(f"worker-{index}" for index in range(config.bounds[1]))]
    return [*servers, *(f"worker {rank}" for rank in range(config.num_workers))]


def _run_static(supervisor: Supervisor, screen: Screen, plans: ProcessPlans) -> Outcome:
    report = _run(supervisor, plans)
    screen.end_progress()
    failure = _failure(supervisor, plans.config)
    if failure is not None:
        for line in report:  # of a rank 0 that did its work, while another process failed
            screen.log("worker 0", line, leads=False)
        raise failure
    return _outcome(plans.config, report)


def _run_elastic(supervisor: ElasticSupervisor, screen: Screen, config: LocalConfig) -> Outcome:
    supervisor.run()
    screen.end_progress()
    if supervisor.killed or (supervisor.stop_signal == signal.SIGINT and not supervisor.done):
        raise KeyboardInterrupt
    if supervisor.stop_signal is not None and not supervisor.done:
        raise LocalError(STOPPED.format(supervisor.stop_signal.name), 128 + supervisor.stop_signal)
    return _outcome(config, supervisor.report)


def _run(supervisor: Supervisor, plans: ProcessPlans) -> list[str]:
    """Run everything to its end and return the report of rank 0; the supervisor knows the rest."""
    config, workspace = plans.config, plans.workspace
    for server in plans.servers():
        supervisor.start(server, is_server=True)
    listening = supervisor.wait_until(
        lambda: not workspace.silent_servers(config.servers), timeout_s=config.start_timeout_s
    )
    if not (listening or supervisor.stopping):
        raise not_listening(workspace.silent_servers(config.servers), config.start_timeout_s)
    report: list[str] = []
    if listening:
        with _rendezvous(config.num_workers, workspace) as place:
            workers = plans.workers(workspace.server_addresses(config.servers), place, os.environ)
            started = [supervisor.start(worker, is_server=False) for worker in workers]
            report = started[0].report
            supervisor.wait_for_workers()
    supervisor.stop_servers()
    return report


@contextlib.contextmanager
def _rendezvous(num_workers: int, workspace: Workspace) -> Iterator[str | None]:
    if num_workers == 1:
        yield None
        return
    token = read_token(workspace.token_file)
    assert token is not None
    with rendezvous(num_workers, token) as place:
        yield str(place)


def _failure(supervisor: Supervisor, config: LocalConfig) -> BaseException | None:
    if supervisor.killed:
        return KeyboardInterrupt()
    failure = problem(supervisor.endings, grace_s=config.grace_seconds)
    if failure is not None or supervisor.stop_signal is None:
        return failure
    workers = [e for e in supervisor.endings if not e.is_server]
    if workers and not any(e.interrupted for e in workers):
        return None  # all have saved
    if supervisor.stop_signal.name == "SIGINT":
        return KeyboardInterrupt()
    return LocalError(STOPPED.format(supervisor.stop_signal.name), 128 + supervisor.stop_signal)


def _outcome(config: LocalConfig, report: Sequence[str]) -> Outcome:
    """Return what rank 0 printed: its result if it prints one as JSON, else its lines."""
    if "--json" in config.command and report:
        # Agents of an elastic training print what they did beside it, in any order
        place = max((i for i, line in enumerate(report) if _is_of_a_run(line)), default=len(report) - 1)
        others = [line for i, line in enumerate(report) if i != place and not (config.elastic and line.startswith("{"))]
        return Outcome(lines=others, result=json.loads(report[place]))
    return Outcome(lines=report, result={})


def _is_of_a_run(line: str) -> bool:
    return line.startswith("{") and "run" in json.loads(line)


def _plan_result(process: ProcessPlan) -> dict[str, object]:
    return {"name": process.name, "command": process.command, "environment": process.environment}
