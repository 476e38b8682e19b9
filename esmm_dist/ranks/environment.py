"""What the environment says about this process's rank. Free of everything heavy: the launcher reads it too."""

import os
from collections.abc import Mapping

from esmm_dist.errors import ConfigError

LOCAL_RANK = "ESMM_LOCAL_RANK"
"""Environment variable with the local rank of an elastic worker. Horovod's own local rank is always 0: to Horovod each
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


def process_rank() -> tuple[int, int]:
    """Return this process's rank and the number of ranks, from the environment alone: (0, 1) without Horovod.

    Raises:
        ConfigError: Horovod's variables are not numbers.
    """
    numbers = []
    for name, without in (("HOROVOD_RANK", "0"), ("HOROVOD_SIZE", "1")):
        text = os.environ.get(name, without)
        if not text.isdigit():
            raise ConfigError(
                f"The environment's {name} is '{text}'. horovodrun and esmm local set it to a number; unset it to run "
                "one process."
            )
        numbers.append(int(text))
    return numbers[0], numbers[1]
