"""Begin a new generation of a run on its servers: from then on they refuse the calls of older ones."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from esmm_dist.config import build
from esmm_dist.errors import ConfigError, ServerError
from esmm_dist.parameter_server import headers
from esmm_dist.parameter_server.config import ConnectionConfig, UpdateMode
from esmm_dist.parameter_server.connection import Connection
from esmm_dist.parameter_server.read_stats import server_stats
from esmm_dist.parameter_server.run_identity import RunIdentity


@dataclass(frozen=True, kw_only=True)
class ServerRunState:
    """Which steps of a run one server has when a new generation begins."""

    open: bool
    """False: the server has no rows of the run, or not all; then the rest is empty."""
    steps: dict[str, int]
    """The last step that each table has applied."""
    undoable: dict[str, int | None]
    """The step that each table can undo; None: none."""
    world_size: int
    update_mode: UpdateMode | None


def next_generation(config: ConnectionConfig) -> int:
    """Return a generation that no server has seen yet. One rank asks, and shares it with the others.

    Raises:
        ConfigError: As ``server_stats``.
        RetryError: As ``server_stats``.
        ServerError: As ``server_stats``.
    """
    return max(stats.generation for stats in server_stats(config)) + 1


def fence_servers(config: ConnectionConfig, run: RunIdentity) -> list[ServerRunState]:
    """Begin a new generation of a run on all servers at once: they refuse all calls of older ones from then on.

    Calls that wait are woken and refused. The rows stay, for a ``RemoteStore`` with opening "resume"; one with opening
    "open" begins anew. May be repeated until then. One rank, or whoever supervises them, does it.

    Args:
        config: addresses and access
        run: the run, with a generation that is new: from ``next_generation``

    Returns:
        What each server has, in their order.

    Raises:
        ConfigError: As ``server_stats``.
        GenerationOverError: A server has seen that generation, or a newer one.
        RetryError: A server cannot be reached; the others have been fenced.
        ServerError: A server refuses: another run uses it.
    """
    if config.embedded:
        raise ConfigError("servers is 'embedded'. Give --servers HOST:PORT,HOST:PORT.")
    header = headers.RunHeader(run=run.name, generation=run.generation)

    def fence(index: int) -> ServerRunState:
        with closing(Connection(config, index)) as connection:
            reply = connection.act_json("fence", header)
        return build(ServerRunState, reply, where=connection.name, error=ServerError)

    with ThreadPoolExecutor(max_workers=len(config.addresses), thread_name_prefix="fence") as threads:
        return list(threads.map(fence, range(len(config.addresses))))
