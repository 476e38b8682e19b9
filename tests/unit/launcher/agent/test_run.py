"""The process of an agent, from its settings to its end, around an agent whose main loop the test plays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.progress import NoProgress
from launcher.agent.agent import Agent
from launcher.agent.client import AgentClient, AgentError
from launcher.agent.config import AgentConfig
from launcher.agent.run import run_agent
from launcher.agent.tls import driver_tls
from tests.support.certificates import Authority
from tests.support.secret_files import write_secret

TOKEN = "0123456789abcdef"


class Messages(NoProgress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def messages() -> Messages:
    return Messages()


@pytest.fixture
def while_it_runs(monkeypatch) -> Callable[[Callable[[Agent], None]], None]:
    """Set what happens instead of the agent's main loop."""

    def play(work: Callable[[Agent], None]) -> None:
        monkeypatch.setattr(Agent, "run", lambda self, signals: work(self))

    return play


def config(folder: Path, **settings: Any) -> AgentConfig:
    return AgentConfig(name="worker-0", command=("--data", "d"), address_file=folder / "address", **settings)


def test_an_agent_answers_at_the_address_in_its_file_until_it_ends(tmp_path, messages, while_it_runs):
    token = write_secret(tmp_path / "token", TOKEN)
    found: list[str] = []

    def ask(agent: Agent) -> None:
        found.append((tmp_path / "address").read_text())
        assert AgentClient(found[0].strip(), TOKEN).status().state == "warming"

    while_it_runs(ask)
    assert run_agent(config(tmp_path, token_file=token), messages) == 0
    address = found[0].removesuffix("\n")
    assert messages.texts == [f"Agent worker-0 listens on {address} (token)"]
    assert not (tmp_path / "address").exists()
    with pytest.raises(AgentError, match="no reply"):
        AgentClient(address, TOKEN).status()


def test_without_a_token_a_user_is_warned_and_told_how_to_make_one(tmp_path, messages, while_it_runs):
    while_it_runs(lambda agent: None)
    run_agent(config(tmp_path), messages)
    listening, warning = messages.texts
    assert "(" not in listening
    assert warning.startswith("WARNING: no --token-file: every user of this machine can start and stop")
    assert "openssl rand -hex 32 > token" in warning


def test_with_a_certificate_an_agent_answers_over_tls_only(tmp_path, messages, while_it_runs):
    authority = Authority(tmp_path)
    pair = authority.sign("agent")

    def ask(agent: Agent) -> None:
        address = (tmp_path / "address").read_text().strip()
        assert AgentClient(address, TOKEN, tls=driver_tls(authority.cert)).status().name == "worker-0"
        with pytest.raises(AgentError, match="no reply"):
            AgentClient(address, TOKEN).status()

    while_it_runs(ask)
    token = write_secret(tmp_path / "token", TOKEN)
    run_agent(config(tmp_path, token_file=token, tls_cert=pair.cert, tls_key=pair.key), messages)
    assert messages.texts[0].endswith(" (TLS, token)")


def test_the_address_is_removed_after_an_error_too(tmp_path, messages, while_it_runs):
    def fail(agent: Agent) -> None:
        assert (tmp_path / "address").exists()
        raise ZeroDivisionError

    while_it_runs(fail)
    with pytest.raises(ZeroDivisionError):
        run_agent(config(tmp_path), messages)
    assert not (tmp_path / "address").exists()


def test_an_address_file_that_is_gone_by_then_is_no_error(tmp_path, messages, while_it_runs):
    while_it_runs(lambda agent: (tmp_path / "address").unlink())
    assert run_agent(config(tmp_path), messages) == 0
