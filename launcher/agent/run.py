"""The process of an agent, from its settings to its end."""

import contextlib

from esmm_dist.process.signals import SignalInbox
from esmm_dist.progress import Progress
from esmm_dist.storage.secret_file import read_token
from esmm_dist.storage.whole_file import write_whole
from launcher.agent.agent import Agent
from launcher.agent.config import AgentConfig
from launcher.agent.http_server import AgentServer
from launcher.agent.tls import agent_tls


def run_agent(config: AgentConfig, progress: Progress) -> int:
    """Run an agent until SIGTERM or SIGINT.

    Returns:
        The number of runs that were started.

    Raises:
        ConfigError: The token or the certificate cannot be read, or the address cannot be bound.
    """
    token = read_token(config.token_file)
    tls = agent_tls(config.tls_cert, config.tls_key) if config.tls_cert and config.tls_key else None
    agent = Agent(
        config.name,
        config.worker_command,
        grace_seconds=config.grace_seconds,
        progress=progress,
        standby=config.standby,
        local_rank=config.local_rank,
    )
    with SignalInbox() as signals, AgentServer(agent, bind=config.bind, token=token, tls=tls) as server:
        try:
            protection = ", ".join(["TLS"] * (tls is not None) + ["token"] * (token is not None))
            progress.message(
                f"Agent {config.name} listens on {server.address}{f' ({protection})' if protection else ''}"
            )
            if token is None:
                progress.message(
                    "WARNING: no --token-file: every user of this machine can start and stop this agent's worker. Make "
                    "a token with (umask 077; openssl rand -hex 32 > token), and give it to agent and driver."
                )
            if config.address_file is not None:
                write_whole(config.address_file, server.address + "\n")
            agent.run(signals)
        finally:
            if config.address_file is not None:
                with contextlib.suppress(OSError):
                    config.address_file.unlink(missing_ok=True)
    return agent.status().id or 0
