"""The agents of an elastic training on this machine: as many as are wanted, and the file that tells the driver."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from esmm_dist.storage.whole_file import write_whole
from launcher.local.restarted_process import RestartedProcess
from launcher.local.workspace import Workspace


class AgentPlace(RestartedProcess):
    """The place of one worker's agent."""

    start = 0
    """Number of its last start among those of all agents: each start has an address file of its own."""

    @property
    def name(self) -> str:
        """Name of its worker."""
        return f"worker-{self.index}"


class AgentPlaces:
    """The places of all agents, by number. Those with the highest numbers leave first.

    Args:
        workspace: holds the address files, and ``agents.json``
        clock: returns the time in seconds
    """

    def __init__(self, workspace: Workspace, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._workspace, self._clock = workspace, clock
        self._places: list[AgentPlace] = []
        self._num_wanted = 0
        self._written: Mapping[str, Any] = {}

    @property
    def places(self) -> list[AgentPlace]:
        """All places, also of agents that are leaving; by number."""
        return list(self._places)

    def scale(self, count: int) -> list[AgentPlace]:
        """Let so many be wanted; return those that are no longer, which are to be told so.

        A number is given again only after its agent has left.
        """
        self._num_wanted = count
        wanted = [agent for agent in self._places if agent.wanted]
        leaving = wanted[count:]
        for agent in leaving:
            agent.wanted = False
        taken = {agent.index for agent in self._places}
        free = (number for number in range(len(taken) + count) if number not in taken)
        self._places += [AgentPlace(next(free), clock=self._clock) for _ in range(count - len(wanted))]
        self._places.sort(key=lambda agent: agent.index)
        return leaving

    def drop_ended(self) -> None:
        """Give up the places of those that were to leave and have."""
        self._places = [agent for agent in self._places if agent.wanted or agent.running]

    def write(self) -> None:
        """Tell the driver how many are wanted, and where those that listen are."""
        addresses = {}
        for agent in self._places:
            file = self._workspace.agent_address_file(agent.start)
            if agent.running and file.exists():
                addresses[agent.name] = file.read_text(encoding="utf-8").strip()
        state = {"wanted": self._num_wanted, "agents": addresses}
        if state != self._written:
            write_whole(self._workspace.agents_file, json.dumps(state))
            self._written = state
