"""An elastic training on this machine: what must run is kept running, whatever is killed.

::

    esmm local ─┬─ server 0, server 1     started again at the same address; workers restore the rows
                ├─ driver                 started again; takes over the workers
                └─ worker-0, worker-1     agents, each with its worker as child; as many as esmm scale asks for

It decides nothing about the training: that is the driver's. If it dies itself, the kernel ends all others.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence

from esmm_dist.errors import StorageError
from esmm_dist.process.signals import SignalInbox
from esmm_dist.storage.folder import Folder
from launcher.command import RUN_AGAIN
from launcher.driver.heartbeat import Heartbeat, read_heartbeat
from launcher.local.agent_places import AgentPlace, AgentPlaces
from launcher.local.process_plans import FREE_PORT, ProcessPlans
from launcher.local.restarted_process import MOST_QUICK_ENDS, RestartedProcess
from launcher.local.screen import Screen
from launcher.local.supervisor import SAME_KEYPRESS_S, Supervisor, not_listening
from launcher.processes.child import Child
from launcher.processes.ending import INTERRUPTED, Ending, LocalError
from launcher.processes.process_plan import ProcessPlan
from launcher.run_files.scale_request import ScaleRequest, read_scale_request

POLL_S = 0.5
"""Seconds between two looks at what may have changed without a process ending."""

POLL_REMOTE_S = 3.0
"""Seconds between two reads of a scale request in an object store."""


class ElasticSupervisor(Supervisor):
    """Keeps servers, driver and agents running until the driver says that the training is done.

    Args:
        plans: plans the processes
        run: folder or URI of the run that the workers' line names
        screen: shows the lines of all processes
        signals: signals that ask this process to stop
        stop_requested: whether somebody has asked for a stop otherwise
        clock: returns the time in seconds
    """

    def __init__(
        self,
        plans: ProcessPlans,
        run: str,
        screen: Screen,
        signals: SignalInbox,
        *,
        stop_requested: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        config, workspace = plans.config, plans.workspace
        super().__init__(
            screen,
            signals,
            grace_s=config.grace_seconds,
            environment=workspace.environment(os.environ),
            stop_requested=stop_requested,
            clock=clock,
        )
        self._plans, self._config, self._workspace = plans, config, workspace
        self._run_location, self._run = run, Folder.open(run)
        self._addresses: list[str] = []
        self._servers = [RestartedProcess(index, is_server=True, clock=clock) for index in range(config.servers)]
        self._driver = RestartedProcess(clock=clock)
        self._agents = AgentPlaces(workspace, clock=clock)
        self._num_agent_starts = 0
        self._last_request_id = ""
        self._polled_at = self._request_read_at = float("-inf")
        self._failure: LocalError | None = None
        self.report: list[str] = []
        """What rank 0 printed."""
        self.done = False
        """Whether the driver has said that the training is done, or has stopped as it was asked to."""

    def run(self) -> None:
        """Run everything to its end.

        Raises:
            LocalError: Something ends again and again, or the training has failed.
        """
        if not self._start_servers():
            return
        request = self._read_request()
        self._last_request_id = request.id if request is not None else ""  # one to an earlier start counts no more
        self._scale(self._config.num_workers)
        self._start(self._driver)
        while not self.done and self._failure is None and not self.killed:
            self.poll(0.1)
            self._maintain()
        if self.killed:
            return
        self._end_all(lambda: self._running(servers=False), lambda: 0.0)
        self.stop_servers()
        self._raise_failure()

    def _start_servers(self) -> bool:
        for server in self._servers:
            self._start(server)
        give_up = self._clock() + self._config.start_timeout_s
        while silent := self._workspace.silent_servers(self._config.servers):
            self.poll(0.05)
            self._keep_running(self._servers)
            if self.stop_signal is not None:
                return False
            self._raise_failure()
            if self._clock() >= give_up:
                raise not_listening(silent, self._config.start_timeout_s)
        self._addresses = self._workspace.server_addresses(self._config.servers)
        return True

    def _plan(self, process: RestartedProcess) -> ProcessPlan:
        """Return the plan of the next process in a place."""
        if process is self._driver:
            return self._plans.driver(self._run_location, self._addresses)
        if isinstance(process, AgentPlace):
            self._num_agent_starts += 1
            process.start = self._num_agent_starts
            return self._plans.agent(process.index, process.start, self._addresses)
        # At its old address, where the workers look for it
        bind = self._addresses[process.index] if self._addresses else FREE_PORT
        return self._plans.server(process.index, bind=bind)

    def _start(self, process: RestartedProcess) -> None:
        process.note_start(self.start(self._plan(process), is_server=process.is_server))

    def _maintain(self) -> None:
        """Keep all running that must run, and do what was asked for meanwhile."""
        if self._clock() < self._polled_at + POLL_S:
            return
        self._polled_at = self._clock()
        self._keep_running([*self._servers, self._driver, *self._agents.places])
        self._agents.drop_ended()
        self._obey_request()
        self._agents.write()
        self._kill_silent(read_heartbeat(self._workspace.beat_file))

    def _keep_running(self, processes: Sequence[RestartedProcess]) -> None:
        for process in processes:
            if process.ended:
                self._judge_end(process, process.note_end())
            # Without servers the workers could not save
            if process.due and (self.stop_signal is None or process.is_server):
                self._start(process)

    def _judge_end(self, process: RestartedProcess, ending: Ending) -> None:
        """Say that a process is started again, or note that this cannot help."""
        if process is self._driver and self._is_end_of_driver(ending):
            return
        if process.will_not_run:
            how = ending.describe(self._grace_s)
            self._failure = LocalError(f"{ending.name} {how}\nIt has ended {MOST_QUICK_ENDS} times in a row.", 1)
        elif process.wanted and self.stop_signal is None:
            what = f"was killed by signal {-ending.status}" if ending.status < 0 else f"ended ({ending.status})"
            self._screen.say(f"{ending.name} {what}; starting it again.")

    def _is_end_of_driver(self, ending: Ending) -> bool:
        """Return whether a driver that ended so is not to be started again; note why."""
        if ending.status == 0:
            self.done = True
        elif ending.error and ending.status not in INTERRUPTED:
            self._failure = LocalError(ending.error, ending.status)
        elif self.stop_signal is not None:
            text = "The driver was killed while the workers saved. The same command goes on from a checkpoint."
            self._failure = LocalError(text, 1)
        else:
            return False
        return True

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _obey_request(self) -> None:
        request = self._read_request() if self.stop_signal is None else None
        if request is None or request.id == self._last_request_id:
            return
        self._last_request_id = request.id
        least, most = self._config.bounds
        if least <= request.workers <= most:
            self._scale(request.workers)
            self._screen.say(f"Asked for {request.workers} workers.")

    def _read_request(self) -> ScaleRequest | None:
        if not self._run.is_local:
            if self._clock() < self._request_read_at + POLL_REMOTE_S:
                return None
            self._request_read_at = self._clock()
        try:
            return read_scale_request(self._run)
        except StorageError:
            return None

    def _scale(self, workers: int) -> None:
        for agent in self._agents.scale(workers):
            if agent.child is not None:
                agent.child.send(signal.SIGTERM)
        for agent in self._agents.places:
            if agent.due:
                self._start(agent)
        self._agents.write()

    def _kill_silent(self, heartbeat: Heartbeat | None) -> None:
        """Kill what the driver has not heard of for too long, and a driver that says nothing: they may be stopped."""
        if heartbeat is None or not self._driver.running:
            return
        stall_s = self._config.stall_seconds
        age_s = time.time() - self._workspace.beat_file.stat().st_mtime
        if age_s > stall_s:
            self._kill_if_old(self._driver, stall_s, f"The driver has given no sign of life for {age_s:.0f} s")
            return
        for server in self._servers:
            silent_s = heartbeat.silent_servers.get(server.index, 0.0)
            if silent_s > 2 * stall_s:
                self._kill_if_old(server, 2 * stall_s, f"server {server.index} has not answered for {silent_s:.0f} s")
        for agent in self._agents.places:
            silent_s = heartbeat.silent_agents.get(agent.name, 0.0)
            if silent_s > stall_s:
                self._kill_if_old(agent, stall_s, f"The agent of {agent.name} has not answered for {silent_s:.0f} s")

    def _kill_if_old(self, process: RestartedProcess, least_age_s: float, why: str) -> None:
        """Kill a process, unless it was started since it could have been heard."""
        if process.child is not None and process.age_s > least_age_s:
            self._screen.say(f"{why}; killing it.")
            process.child.send(signal.SIGKILL)

    def _note_end(self, child: Child) -> None:
        self.report += child.report
        self.endings.append(child.ending())
        self._keep_last_words(child)

    def _note_stop(self, number: signal.Signals) -> None:
        if self.stop_signal is None:
            self.stop_signal, self._stopped_at = number, self._clock()
            self._screen.say(f"{number.name}: the workers save and stop; Ctrl-C again kills them.")
            if self._driver.child is not None:
                self._driver.child.send(signal.SIGINT)
            else:
                text = f"Stopped while no driver ran. {RUN_AGAIN}"
                self._failure = LocalError(text, 1)
        elif number == signal.SIGINT and self._clock() >= self._stopped_at + SAME_KEYPRESS_S:
            self.killed = True
