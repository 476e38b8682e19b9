"""Ask servers for their figures."""

from contextlib import closing

from esmm_dist.config import build
from esmm_dist.errors import ConfigError, ServerError
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.parameter_server.connection import Connection
from esmm_dist.parameter_server.stats import ServerStats


def server_stats(config: ConnectionConfig) -> list[ServerStats]:
    """Ask every server for its figures, one after the other.

    Raises:
        ConfigError: Rows are embedded, or a token or certificate cannot be read.
        RetryError: A server cannot be reached.
        ServerError: A server refuses.
    """
    if config.embedded:
        raise ConfigError("servers is 'embedded'. Give --servers HOST:PORT,HOST:PORT.")
    found = []
    for index, address in enumerate(config.addresses):
        with closing(Connection(config, index)) as connection:
            reply = connection.act_json("stats") | {"address": address}
        found.append(build(ServerStats, reply, where=connection.name, error=ServerError))
    return found
