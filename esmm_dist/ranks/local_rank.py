"""What an agent tells its worker of their machine; free of everything heavy, as the agent is."""

from collections.abc import Mapping

from esmm_dist.errors import ConfigError

LOCAL_RANK = "ESMM_LOCAL_RANK"
"""Number of an elastic rank among those of its machine, 0, 1, ... Horovod's own does not tell them apart: to it each
life of a worker is a machine of its own."""


def agents_local_rank(environment: Mapping[str, str]) -> int:
    """Return the local rank that an elastic worker's agent has given it; 0 without one.

    Raises:
        ConfigError: It is no number.
    """
    text = environment.get(LOCAL_RANK, "0")
    if not text.isdigit():
        raise ConfigError(f"The environment's {LOCAL_RANK} is '{text}'. esmm agent --local-rank sets it to a number.")
    return int(text)
