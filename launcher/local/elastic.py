"""An elastic training on this machine: what must run is kept running, whatever is killed.

::

    esmm local ─┬─ server 0, server 1     started again at the same address; workers restore the rows
                ├─ driver                 started again; takes over the workers
                └─ worker-0, worker-1     agents, each with its worker as child; as many as esmm scale asks for

It decides nothing about the training: that is the driver's. If it dies itself, the kernel ends all others.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from esmm_dist.errors import StorageError
from esmm_dist.process.signals import SignalInbox
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.whole_file import write_whole
from launcher.driver.heartbeat import Beat, read_beat
from launcher.local import plan
from launcher.local.config import LocalConfig
from launcher.local.screen import Screen
from launcher.local.supervisor import SAME_KEYPRESS_S, Supervisor
from launcher.local.workspace import Workspace
from launcher.processes.child import Child
from launcher.processes.ending import INTERRUPTED, LocalError
from launcher.processes.process_plan import ProcessPlan
from launcher.run_files.scale_request import read_scale_request

LOOK_S = 0.5
"""Seconds between two looks at what else than processes may have changed."""

LOOK_REMOTE_S = 3.0
"""The same for a wish to scale in an object store."""

QUICK_S = 10.0
MOST_QUICK_ENDS = 5
"""A process that ends so many times in a row within ``QUICK_S`` of its start will not run."""

PAUSE_S = 1.0
"""Before a process that ended quickly is started again."""


@dataclass(kw_only=True)
class _Kept:
    """A process that is started again when it ends."""

    plan: Callable[[], ProcessPlan]
    is_server: bool = False
    child: Child | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    quick_ends: int = 0
    wanted: bool = True
    index: int = 0


@dataclass(kw_only=True)
class _Agent(_Kept):
    name: str = ""
    start: int = 0
    """Number of its address file."""


class ElasticSupervisor(Supervisor):
    """Keeps servers, driver and agents running until the driver says that the training is done."""

    def __init__(
        self,
        config: LocalConfig,
        run: str,
        workspace: Workspace,
        screen: Screen,
        signals: SignalInbox,
        *,
        stop_requested: Callable[[], bool] = lambda: False,
        esmm: Sequence[str] = plan.ESMM,
    ) -> None:
        """Start nothing yet.

        Args:
            config: How many of each, and the workers' line.
            run: The run that the workers' line names.
            workspace: For addresses and the token.
            screen: Shows the lines of all.
            signals: Those that ask this process to stop.
            stop_requested: Whether somebody has asked for a stop otherwise.
            esmm: The words that run ``esmm``.
        """
        super().__init__(
            screen,
            signals,
            grace_s=config.grace_seconds,
            environment=workspace.environment(os.environ),
            stop_requested=stop_requested,
        )
        self._config, self._workspace, self._esmm = config, workspace, esmm
        self._run_location, self._run = run, Folder.open(run)
        self._token_file = str(workspace.token_file)
        self._addresses: list[str] = []
        self._servers = [
            _Kept(plan=self._server_plan(index), is_server=True, index=index) for index in range(config.servers)
        ]
        self._driver = _Kept(plan=self._driver_plan)
        self._agents: list[_Agent] = []
        self._starts = 0
        self._wanted = config.num_workers
        self._wish_id = ""
        self._written: dict[str, Any] = {}
        self._looked_at = self._asked_wish_at = 0.0
        self._failure: str | None = None
        self._failed_status = 1
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
        wish = self._read_wish()
        self._wish_id = wish.id if wish is not None else ""  # one of an earlier start counts no more
        self._scale(self._wanted)
        self._keep(self._driver)
        while not self.done and self._failure is None and not self.killed:
            self.turn(0.1)
            self._look()
        if self.killed:
            return
        self._end()
        if self._failure is not None:
            raise LocalError(self._failure, self._failed_status)

    def _start_servers(self) -> bool:
        for server in self._servers:
            self._keep(server)
        files = [self._workspace.address_file(server.index) for server in self._servers]
        deadline = time.monotonic() + self._config.start_timeout_s
        while not all(file.exists() for file in files):
            self.turn(0.05)
            self._keep_all(self._servers)
            if self.asked is not None:
                return False
            if self._failure is not None:
                raise LocalError(self._failure, self._failed_status)
            if time.monotonic() >= deadline:
                silent = ", ".join(f"server {i}" for i, file in enumerate(files) if not file.exists())
                raise LocalError(
                    f"{silent} did not listen within {self._config.start_timeout_s:g} s. Look at its lines above; on a "
                    "busy machine give --start-timeout-s more.",
                    1,
                )
        self._addresses = [file.read_text(encoding="utf-8").strip() for file in files]
        return True

    def _server_plan(self, index: int) -> Callable[[], ProcessPlan]:
        def make() -> ProcessPlan:
            return plan.plan_server(
                index,
                self._config.servers,
                bind=self._addresses[index] if self._addresses else plan.FREE_PORT,
                token_file=self._token_file,
                address_file=str(self._workspace.address_file(index)),
                esmm=self._esmm,
            )

        return make

    def _driver_plan(self) -> ProcessPlan:
        return plan.plan_driver(
            self._run_location,
            addresses=self._addresses,
            token_file=self._token_file,
            agents_file=str(self._workspace.agents_file),
            beat_file=str(self._workspace.beat_file),
            bounds=self._config.bounds,
            stall_seconds=self._config.stall_seconds,
            esmm=self._esmm,
        )

    def _agent_plan(self, agent: _Agent) -> ProcessPlan:
        self._starts += 1
        agent.start = self._starts
        return plan.plan_agent(
            agent.name,
            self._config.worker_command,
            local_rank=agent.index,
            addresses=self._addresses,
            token_file=self._token_file,
            address_file=str(self._workspace.agent_address_file(agent.start)),
            grace_seconds=self._config.grace_seconds,
            standby=self._config.standby,
            esmm=self._esmm,
        )

    def _look(self) -> None:
        """Keep all running that must run, and do what was asked for meanwhile."""
        if time.monotonic() < self._looked_at + LOOK_S:
            return
        self._looked_at = time.monotonic()
        self._keep_all([*self._servers, self._driver, *self._agents])
        self._agents = [agent for agent in self._agents if agent.wanted or _runs(agent)]
        wish = self._read_wish()
        if wish is not None and wish.id != self._wish_id and self.asked is None:
            self._wish_id = wish.id
            least, most = self._config.bounds
            if least <= wish.workers <= most:
                self._scale(wish.workers)
                self._screen.say(f"Asked for {wish.workers} workers.")
        self._write_agents()
        self._end_silent(read_beat(self._workspace.beat_file))

    def _keep_all(self, all_kept: Sequence[_Kept]) -> None:
        for kept in all_kept:
            if kept.child is not None and not kept.child.running:
                self._note_kept_end(kept)
            # Without servers the workers could not save
            wanted = kept.wanted and (self.asked is None or kept.is_server)
            if kept.child is None and wanted and time.monotonic() >= kept.due_at:
                self._keep(kept)

    def _keep(self, kept: _Kept) -> None:
        kept.child = self.start(kept.plan(), is_server=kept.is_server)
        kept.started_at = time.monotonic()

    def _note_kept_end(self, kept: _Kept) -> None:
        """Note that a process has ended, and see when it is to be started again."""
        assert kept.child is not None
        ending, now = kept.child.ending(), time.monotonic()
        kept.child = None
        if kept is self._driver and self._is_driver_done(ending.status, ending.error):
            return
        quick = now < kept.started_at + QUICK_S
        kept.quick_ends = kept.quick_ends + 1 if quick else 0
        kept.due_at = now + (PAUSE_S if quick else 0.0)
        if kept.quick_ends >= MOST_QUICK_ENDS:
            how = ending.describe(self._grace_s)
            self._failure = f"{ending.name} {how}\nIt has ended {MOST_QUICK_ENDS} times in a row."
        elif kept.wanted and self.asked is None:
            what = f"was killed by signal {-ending.status}" if ending.status < 0 else f"ended ({ending.status})"
            self._screen.say(f"{ending.name} {what}; starting it again.")

    def _is_driver_done(self, status: int, error: str) -> bool:
        if status == 0:
            self.done = True
        elif error and status not in INTERRUPTED:
            self._failure, self._failed_status = error, status
        elif self.asked is not None:
            self._failure = "The driver was killed while the workers saved. The same command goes on from a checkpoint."
        else:
            return False
        return True

    def _scale(self, workers: int) -> None:
        """Let there be so many agents: new ones are started, those with the highest numbers leave."""
        self._wanted = workers
        for agent in [agent for agent in self._agents if agent.wanted][workers:]:
            agent.wanted = False
            if agent.child is not None:
                agent.child.send(signal.SIGTERM)
        numbers = {agent.index for agent in self._agents}
        while sum(agent.wanted for agent in self._agents) < workers:
            index = next(number for number in range(len(numbers) + 1) if number not in numbers)
            numbers.add(index)
            agent = self._new_agent(index)
            self._agents.append(agent)
            self._agents.sort(key=lambda each: each.index)
            self._keep(agent)
        self._write_agents()

    def _new_agent(self, index: int) -> _Agent:
        agent = _Agent(plan=lambda: self._agent_plan(agent), name=f"worker-{index}", index=index)
        return agent

    def _write_agents(self) -> None:
        """Tell the driver where the agents are."""
        addresses = {}
        for agent in self._agents:
            file = self._workspace.agent_address_file(agent.start)
            if _runs(agent) and file.exists():
                addresses[agent.name] = file.read_text(encoding="utf-8").strip()
        state = {"wanted": self._wanted, "agents": addresses}
        if state != self._written:
            write_whole(self._workspace.agents_file, json.dumps(state))
            self._written = state

    def _end_silent(self, beat: Beat | None) -> None:
        """Kill what the driver has not heard of for too long, and a driver that says nothing: they may be stopped."""
        if beat is None or not _runs(self._driver):
            return
        stall_s, now = self._config.stall_seconds, time.monotonic()
        assert self._driver.child is not None
        age_s = time.time() - self._workspace.beat_file.stat().st_mtime
        if age_s > stall_s:
            if now > self._driver.started_at + stall_s:
                self._screen.say(f"The driver has given no sign of life for {age_s:.0f} s; killing it.")
                self._driver.child.send(signal.SIGKILL)
            return
        for server in self._servers:
            silent_s = beat.silent_servers.get(server.index, 0.0)
            if silent_s > 2 * stall_s and server.child is not None and now > server.started_at + 2 * stall_s:
                self._screen.say(f"server {server.index} has not answered for {silent_s:.0f} s; killing it.")
                server.child.send(signal.SIGKILL)
        for agent in self._agents:
            silent_s = beat.silent_agents.get(agent.name, 0.0)
            if silent_s > stall_s and agent.child is not None and now > agent.started_at + stall_s:
                self._screen.say(f"The agent of {agent.name} has not answered for {silent_s:.0f} s; killing it.")
                agent.child.send(signal.SIGKILL)

    def _read_wish(self) -> Any:
        if not self._run.is_local:
            if time.monotonic() < self._asked_wish_at + LOOK_REMOTE_S:
                return None
            self._asked_wish_at = time.monotonic()
        try:
            return read_scale_request(self._run)
        except StorageError:
            return None

    def _end(self) -> None:
        """End agents and servers, which have nothing left to do."""
        self._end_all(lambda: self._running(servers=False), lambda: 0.0)
        self.stop_servers()

    def _note_end(self, child: Child) -> None:
        self.report += child.report
        self.endings.append(child.ending())
        self._keep_last_words(child)

    def _obey(self, number: signal.Signals) -> None:
        if self.asked is None:
            self.asked, self._asked_at = number, self._clock()
            self._screen.say(f"{number.name}: the workers save and stop; Ctrl-C again kills them.")
            if self._driver.child is not None:
                self._driver.child.send(signal.SIGINT)
            else:
                self._failure = "Stopped while no driver ran. The same command goes on, or starts again."
        elif number == signal.SIGINT and self._clock() >= self._asked_at + SAME_KEYPRESS_S:
            self.killed = True


def _runs(kept: _Kept) -> bool:
    return kept.child is not None and kept.child.running
