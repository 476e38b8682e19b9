"""A warm worker: it imports, says that it is ready, waits for its variables, and becomes the command."""

import io
import os
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from launcher import cli
from launcher.agent import warm_worker
from launcher.agent.warm_worker import main


class Link:
    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def ready(self) -> None:
        self.said.append(("ready",))

    def error(self, text: str, exit_status: int) -> None:
        self.said.append((text, exit_status))


class World:
    """What the worker imports, reads and becomes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.link, self.commands, self.imported = Link(), [], []
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(warm_worker, "prepare_streams", lambda: None)
        monkeypatch.setattr(warm_worker, "worker_link", lambda: self.link)
        monkeypatch.setattr(warm_worker, "import_tfra", lambda: self.imported.append("tfra"))
        monkeypatch.setattr(warm_worker, "import_horovod", lambda: self.imported.append("horovod"))
        monkeypatch.setattr(warm_worker, "importlib", SimpleNamespace(import_module=self._import))
        monkeypatch.setattr(cli, "main", self._run)
        names = {name: getattr(os, name) for name in ("environ", "open", "devnull", "O_RDONLY")}
        closing = SimpleNamespace(**names, dup2=lambda source, target: os.close(source))
        monkeypatch.setattr(warm_worker, "os", closing)  # the tests' own stdin stays
        monkeypatch.setenv("HOROVOD_RANK", "none")  # restored after the test

    def reads(self, text: str) -> None:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(text))

    def _import(self, name: str) -> Any:
        self.imported.append(name)
        return cli

    def _run(self, command: Sequence[str]) -> int:
        self.commands.append((list(command), os.environ["HOROVOD_RANK"]))
        return 3


@pytest.fixture
def world(monkeypatch) -> World:
    return World(monkeypatch)


def test_it_runs_its_command_with_the_variables_that_it_is_given(world):
    world.reads('{"environment": {"HOROVOD_RANK": "1"}}\n')
    assert main(["train", "--data", "d"]) == 3
    assert world.commands == [(["train", "--data", "d"], "1")]
    assert world.link.said == [("ready",)]
    assert world.imported == ["tfra", "horovod", "esmm_dist.train.trainer", "launcher.cli"]


def test_an_import_that_fails_is_told_and_nothing_runs(world, monkeypatch):
    def fail() -> None:
        raise ImportError("no such library")

    monkeypatch.setattr(warm_worker, "import_horovod", fail)
    assert main(["train"]) == warm_worker.EXIT_STATUS
    assert world.link.said == [("ImportError: no such library", 1)]
    assert world.commands == []


def test_a_worker_whose_agent_is_gone_runs_nothing(world):
    world.reads("")
    assert main(["train"]) == warm_worker.EXIT_STATUS
    assert (world.link.said, world.commands) == ([("ready",)], [])
