"""Open the store of a run's rows: in this process, or on parameter servers."""

from collections.abc import Iterator
from contextlib import contextmanager

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.server.config import ClientConfig
from esmm_dist.world import World


@contextmanager
def opened_store(
    config: ClientConfig,
    tables: tuple[str, ...],
    embedding: EmbeddingConfig,
    *,
    seed: int,
    location: str,
    purpose: str,
    generation: int,
    world: World,
) -> Iterator[EmbeddingStore]:
    """Open an empty store for the ``with`` block. On servers all ranks open it, and get the same rows.

    If the block ends well, the servers forget the rows at its end, once all ranks are there.

    Args:
        config: Where the rows live.
        tables: Their names.
        embedding: Of the rows.
        seed: Of the run.
        location: Of the run, absolute.
        purpose: ``train``, or what else the rows are read for.
        generation: From ``new_generation``, the same on all ranks.
        world: The ranks.

    Raises:
        ConfigError: A token or certificate cannot be read.
        RetryError: A server cannot be reached.
        ServerError: A server refuses.
    """
    if config.embedded:
        yield EmbeddedStore(tables, embedding, seed=seed)
        return
    from esmm_dist.server.client import RemoteStore, RunIdentity  # loads Arrow Flight

    run = RunIdentity(location=location, generation=generation, rank=world.rank, world_size=world.size, purpose=purpose)
    store = RemoteStore(config, tables, embedding, seed=seed, run=run)
    try:
        yield store
        world.wait()
        if world.rank == 0:
            store.close_run()
    finally:
        store.close()


def new_generation(config: ClientConfig) -> int:
    """Return the number of the next opening of a run on its servers; 0 without servers. Rank 0 asks.

    Raises:
        EsmmError: As ``opened_store``.
    """
    if config.embedded:
        return 0
    from esmm_dist.server.client import next_generation

    return next_generation(config)
