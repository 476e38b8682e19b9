"""Processes that a test plays: what ``esmm local`` would start, ended by hand, at a time that stands still."""

import itertools
import selectors
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from esmm_dist.process.signals import SignalInbox
from esmm_dist.progress import NoProgress
from launcher.local.screen import Screen
from launcher.processes.ending import Ending
from launcher.processes.process_plan import ProcessPlan


class Clock:
    """Time that passes only when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class PlayedChild:
    """Stands for a ``Child``: runs until ``end`` is called, or until it is killed."""

    def __init__(self, plan: ProcessPlan, inherited: Mapping[str, str], *, is_server: bool) -> None:
        self.plan, self.is_server = plan, is_server
        self.sent: list[signal.Signals] = []
        self.deaf = False
        """Whether only SIGKILL ends it."""
        self.report: list[str] = []
        self.pipes: list[Any] = []
        self._status: int | None = None
        self._error = ""
        self._reaped = False

    @property
    def flags(self) -> dict[str, str]:
        """The flags of its command line, up to ``--``."""
        words = self.plan.command
        own = words[: words.index("--")] if "--" in words else words
        return {flag: value for flag, value in itertools.pairwise(own) if flag.startswith("--")}

    @property
    def running(self) -> bool:
        return not self._reaped

    def end(self, status: int = 0, *, error: str = "", report: tuple[str, ...] = ()) -> None:
        """Let it end; the supervisor notices at its next turn."""
        self._status, self._error = status, error
        self.report += report

    def send(self, number: signal.Signals) -> None:
        if self._reaped:
            return
        self.sent.append(number)
        if self._status is None and number == signal.SIGKILL:
            self.end(-number)
        elif self._status is None and not self.deaf:
            self.end(0)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def read(self) -> Iterator[str]:
        return iter(())

    close = read

    def reap(self) -> bool:
        if self._status is None or self._reaped:
            return False
        self._reaped = True
        return True

    def ending(self) -> Ending:
        assert self._status is not None
        return Ending(
            name=self.plan.name,
            is_server=self.is_server,
            status=self._status,
            sent=frozenset(self.sent),
            error=self._error,
        )


class Signals(SignalInbox):
    """Signals that a test sends without sending any."""

    def __enter__(self) -> "Signals":
        return self

    def send(self, *numbers: signal.Signals) -> None:
        self._noted += numbers


class Shown(NoProgress):
    """What a screen shows."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


class World:
    """The processes, the signals and the time of one supervisor, played by a script.

    The supervisor waits for nothing: each of its waits lets the time pass, and the script go on to its next ``yield``.
    """

    MOST_WAITS = 10_000

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.signals, self.shown = Clock(), Signals(), Shown()
        self.children: list[PlayedChild] = []
        self.stop_requested = False
        self._script: Iterator[None] = iter(())
        world = self

        class PlayedSelector(selectors.DefaultSelector):
            waits = 0

            def select(self, timeout: float | None = None) -> list[Any]:
                assert timeout is not None
                self.waits += 1
                assert self.waits < World.MOST_WAITS, f"no end in sight: {world.shown.lines[-5:]}"
                world.clock.now += timeout
                next(world._script, None)
                return []

        def start(plan: ProcessPlan, inherited: Mapping[str, str], *, is_server: bool) -> PlayedChild:
            self.children.append(PlayedChild(plan, inherited, is_server=is_server))
            return self.children[-1]

        monkeypatch.setattr("launcher.local.supervisor.Child", start)
        monkeypatch.setattr("launcher.local.supervisor.selectors.DefaultSelector", PlayedSelector)
        names = ["server 0", "server 1", "driver", *(f"worker-{i}" for i in range(4)), "worker 0", "worker 1"]
        self.screen = Screen(self.shown, names, colours=False)

    def play(self, script: Iterator[None], work: Callable[[], object]) -> None:
        """Do the work while the script goes on; check that the script came to its end."""
        self._script = script
        work()
        assert next(script, "ended") == "ended", "the work ended before the script did"

    def pass_s(self, seconds: float) -> Iterator[None]:
        """Let so much time pass."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            yield

    def all_of(self, name: str) -> list[PlayedChild]:
        """All processes of a name that were started."""
        return [child for child in self.children if child.plan.name == name]

    def newest(self, name: str) -> PlayedChild:
        """The process of a name that was started last."""
        return self.all_of(name)[-1]
