"""Start servers, then workers; watch them; say how it ended."""

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from esmm_dist.process.signals import SignalInbox
from esmm_dist.progress import Progress
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.secret_file import read_token
from launcher.command import Outcome
from launcher.driver.rendezvous import rendezvous
from launcher.local import plan
from launcher.local.config import LocalConfig
from launcher.local.elastic import ElasticSupervisor
from launcher.local.screen import Screen
from launcher.local.supervisor import Supervisor
from launcher.local.workspace import Workspace, open_workspace
from launcher.processes.ending import LocalError, problem
from launcher.processes.process_plan import ProcessPlan
from launcher.run_files.log_files import FOLDER_NAME, LogFiles
from launcher.run_files.run_record import StopRequests, recorded
from launcher.terminal.progress import BarProgress

STOPPED = "Stopped by {}. The same command goes on, or starts again."


def run_local(
    config: LocalConfig,
    progress: Progress,
    *,
    check: Callable[[Sequence[str]], Any],
    esmm: Sequence[str] = plan.ESMM,
) -> Outcome:
    """Run the workers' command to its end.

    Args:
        config: How many, and what.
        progress: Shows the lines of all, and the progress of rank 0.
        check: Returns the settings of the workers' command line, or raises what is wrong with it, before anything is
            started.
        esmm: The words that run ``esmm``.

    Returns:
        What rank 0 printed.

    Raises:
        EsmmError: The workers' line is wrong, or a process failed; with the exit status of the one that failed.
        KeyboardInterrupt: Ctrl-C came before the workers could save, or twice.
    """
    settings = check(config.worker_command)
    if config.dry_run:
        plans = plan.dry_run_elastic(config, settings.run) if config.elastic else plan.dry_run(config, os.environ)
        return Outcome(lines=plan.plan_lines(plans), result={"processes": [_plan_result(p) for p in plans]})
    worker = "worker-{}" if config.elastic else "worker {}"
    names = [f"server {i}" for i in range(config.servers)] + ["driver"] * config.elastic
    names += [worker.format(i) for i in range(config.bounds[1] if config.elastic else config.num_workers)]
    screen = Screen(progress, names, colours=isinstance(progress, BarProgress))
    with contextlib.ExitStack() as stack:
        stop_requested: Callable[[], bool] = _nobody_asks
        if config.trains:
            run = Folder.open(settings.run)
            stack.enter_context(recorded(run, config.line))
            stop_requested = StopRequests(run).pending
            if run.is_local:
                screen.logs = LogFiles(run.local_path / FOLDER_NAME, progress.message)
                stack.callback(screen.logs.close)
        if config.elastic:
            return _run_elastic(config, settings.run, screen, stop_requested, esmm)
        return _run_static(config, screen, stop_requested, esmm)


def _nobody_asks() -> bool:
    return False


def _run_static(
    config: LocalConfig, screen: Screen, stop_requested: Callable[[], bool], esmm: Sequence[str]
) -> Outcome:
    with (
        SignalInbox() as signals,
        open_workspace() as workspace,
        Supervisor(
            screen,
            signals,
            grace_s=config.grace_seconds,
            environment=workspace.environment(os.environ),
            stop_requested=stop_requested,
        ) as supervisor,
    ):
        report = _run(config, supervisor, workspace, esmm)
        screen.rest()
        failure = _failure(supervisor, config)
        if failure is not None:
            for line in report:  # of a rank 0 that did its work, while another process failed
                screen.log("worker 0", line, leads=False)
            raise failure
    return _outcome(config, report)


def _run_elastic(
    config: LocalConfig, run: str, screen: Screen, stop_requested: Callable[[], bool], esmm: Sequence[str]
) -> Outcome:
    with (
        SignalInbox() as signals,
        open_workspace() as workspace,
        ElasticSupervisor(
            config, run, workspace, screen, signals, stop_requested=stop_requested, esmm=esmm
        ) as supervisor,
    ):
        supervisor.run()
        screen.rest()
    if supervisor.killed or (supervisor.asked == signal.SIGINT and not supervisor.done):
        raise KeyboardInterrupt
    if supervisor.asked is not None and not supervisor.done:
        raise LocalError(STOPPED.format(supervisor.asked.name), 128 + supervisor.asked)
    return _outcome(config, supervisor.report)


def _run(config: LocalConfig, supervisor: Supervisor, workspace: Workspace, esmm: Sequence[str]) -> list[str]:
    """Run everything to its end and return the report of rank 0; the supervisor knows the rest."""
    files = [workspace.address_file(i) for i in range(config.servers)]
    token_file = str(workspace.token_file)
    servers = plan.plan_servers(
        config.servers, token_file=token_file, address_files=[str(file) for file in files], esmm=esmm
    )
    for server in servers:
        supervisor.start(server, is_server=True)
    listening = supervisor.wait_until(lambda: all(f.exists() for f in files), timeout_s=config.start_timeout_s)
    if not (listening or supervisor.ending):
        silent = ", ".join(f"server {i}" for i, f in enumerate(files) if not f.exists())
        raise LocalError(
            f"{silent} did not listen within {config.start_timeout_s:g} s. Look at its lines above; on a busy machine "
            "give --start-timeout-s more.",
            1,
        )
    report: list[str] = []
    if listening:
        with _rendezvous(config.num_workers, workspace) as place:
            workers = plan.plan_workers(
                config.num_workers,
                config.worker_command,
                addresses=[file.read_text(encoding="utf-8").strip() for file in files],
                token_file=token_file,
                rendezvous_place=place,
                inherited=os.environ,
                esmm=esmm,
            )
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
    if failure is not None or supervisor.asked is None:
        return failure
    workers = [e for e in supervisor.endings if not e.is_server]
    if workers and not any(e.interrupted for e in workers):
        return None  # all have saved
    if supervisor.asked.name == "SIGINT":
        return KeyboardInterrupt()
    return LocalError(STOPPED.format(supervisor.asked.name), 128 + supervisor.asked)


def _outcome(config: LocalConfig, report: Sequence[str]) -> Outcome:
    """Return what rank 0 printed: its result if it was told to print one as JSON, else its lines."""
    if "--json" in config.command and report:
        return Outcome(lines=report[:-1], result=json.loads(report[-1]))
    return Outcome(lines=report, result={})


def _plan_result(process: ProcessPlan) -> dict[str, object]:
    return {"name": process.name, "command": process.command, "environment": process.environment}
