"""The settings of ``esmm servers``."""

from dataclasses import dataclass, field

from esmm_dist.errors import ConfigError
from esmm_dist.parameter_server.config import ConnectionConfig


@dataclass(frozen=True, kw_only=True)
class ServersConfig(ConnectionConfig):
    """Show the figures of parameter servers."""

    servers: str = field()  # takes the default away: there is nothing to ask when rows are embedded
    """HOST:PORT,HOST:PORT,...: the parameter servers, in the order of their index."""

    server_timeout_s: float = 10.0
    """Seconds until a server that does not answer is given up."""

    watch: float | None = None
    """Show them again every so many seconds, until Ctrl-C. None: once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.embedded:
            raise ConfigError("servers is 'embedded': then there is no server. Give --servers HOST:PORT,HOST:PORT.")
        if self.watch is not None and not 0 < self.watch < float("inf"):
            raise ConfigError(f"watch is {self.watch}. Set seconds, more than 0.")
