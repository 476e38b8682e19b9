"""What one request, one client and all of them together may ask of a server."""

from dataclasses import dataclass, fields

from esmm_dist.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """Limits of the requests to a scoring server. Each answer that refuses names the limit and its value."""

    max_body_bytes: int = 8 << 20
    """Most bytes of a request's body; more is status 413. One user with 600 ids and 200 candidates has about 40 kB."""

    max_header_bytes: int = 32 << 10
    """Most bytes of a request's line and headers; more is status 431."""

    max_impressions: int = 10_000
    """Most candidates of a request, those of all its users together; more is status 400."""

    max_users: int = 1_000
    """Most users of a request; more is status 400."""

    max_ids: int = 1_000_000
    """Most values of a request, of all its fields, users and candidates together; more is status 400."""

    timeout_ms: int = 5_000
    """Milliseconds from the last byte of a request until its answer is ready; after that it is status 504, and what
    has not begun is not computed."""

    max_waiting: int = 512
    """Most requests of a process that are being read, wait or are computed; further ones are status 503 at once, with
    Retry-After: a queue that grows answers everyone too late."""

    max_connections: int = 4_096
    """Most open connections of a process; further ones are closed before they are read."""

    upload_timeout_s: float = 10.0
    """Seconds that a request's body may take to arrive; after that it is status 408. Headers have the same time, after
    which the connection is closed. So is one whose client reads none of its answers for so long."""

    keep_alive_s: float = 75.0
    """Seconds that a connection without a request stays open. Longer than the 60 s of usual load balancers, so that
    the balancer, which knows when it uses the connection, is the one that closes it."""

    def __post_init__(self) -> None:
        for field in fields(RequestLimits):
            value = getattr(self, field.name)
            if not 0 < value < float("inf"):
                raise ConfigError(f"{field.name} is {value}. Set a number above 0.")
        if self.max_header_bytes < 1024:
            raise ConfigError(
                f"max_header_bytes is {self.max_header_bytes}. Set 1024 or more: clients send a few names."
            )
