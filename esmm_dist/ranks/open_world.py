"""The world that this process was started into."""

import os
from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.ranks.elastic import ElasticWorld
from esmm_dist.ranks.environment import process_rank
from esmm_dist.ranks.horovod import HorovodWorld
from esmm_dist.ranks.rendezvous.joining import own_rendezvous
from esmm_dist.ranks.rendezvous.signing import PLACE
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.ranks.world import World


def open_world(token_file: Path | None = None) -> World:
    """Return this process's world: Horovod's if there is more than one rank, or may be; else ``SoloWorld``.

    Args:
        token_file: holds the job's secret, which the ranks show at the rendezvous; None: there is none

    Raises:
        ConfigError: The variables in the environment are malformed or do not fit each other, or the token is missing.
        RetryError: The ranks' rendezvous does not answer.
        StackError: As ``HorovodWorld``.
    """
    rank, size = process_rank()
    elastic = os.environ.get("HOROVOD_ELASTIC") == "1"
    if not elastic and size == 1:
        return SoloWorld()
    rendezvous = own_rendezvous(token_file)
    if not elastic:
        if rendezvous is None and not os.environ.get("HOROVOD_GLOO_RENDEZVOUS_ADDR"):
            raise ConfigError(
                f"The environment makes this process rank {rank} of {size}, but names no rendezvous of the ranks. "
                "horovodrun and esmm local set both. If the variables are left over from another job, unset "
                "HOROVOD_RANK and HOROVOD_SIZE."
            )
        return HorovodWorld(rendezvous)
    if rendezvous is None:
        raise ConfigError(
            f"The environment's HOROVOD_ELASTIC is 1, but {PLACE} is not set: Horovod's own elastic launcher started "
            "this process. Start workers that come and go with esmm local --min-workers 1, or unset it."
        )
    return ElasticWorld(rendezvous)
