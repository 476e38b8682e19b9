"""Open the store of a run's rows: in this process, or on parameter servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.run_tables import RunTables
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.parameter_server.config import ClientConfig
from esmm_dist.parameter_server.run_identity import RunIdentity
from esmm_dist.ranks.elastic import ElasticWorld
from esmm_dist.ranks.world import World


@dataclass(frozen=True, kw_only=True)
class OpenedStore:
    """A store, and what became of the rows that it had."""

    store: EmbeddingStore
    undone_steps: int = 0
    """Steps that the servers have undone: 0 or 1."""
    lost_steps: int = 0
    """Steps whose updates of rows are lost; never any in ``sync``."""
    repeated_steps: int = 0
    """Steps whose updates of rows will be made twice; never any in ``sync``."""


@contextmanager
def opened_store(
    config: ClientConfig,
    tables: RunTables,
    run: RunIdentity,
    world: World,
    *,
    resume_after: int | None = None,
) -> Iterator[OpenedStore]:
    """Open a store for the ``with`` block. On servers all ranks open it, and get the same rows.

    If the block ends well, the servers forget the rows at its end, once all ranks are there.

    Args:
        config: where the rows live
        tables: the tables
        run: which run, and which of its ranks; its generation is that of ``new_generation`` on all ranks
        world: the ranks
        resume_after: keep the rows that the servers have, as they were after this step; None: open an empty store

    Raises:
        ConfigError: A token or certificate cannot be read.
        RetryError: A server cannot be reached.
        ServerError: A server refuses.
        LostError: A rank or a server was lost meanwhile.
    """
    if config.embedded:
        yield OpenedStore(store=EmbeddedStore(tables.names, tables.embedding, seed=tables.seed))
        return
    from esmm_dist.parameter_server.remote_store import Opening, RemoteStore  # loads Arrow Flight

    stores: list[RemoteStore] = []

    def open_as(opening: Opening) -> dict[str, int]:
        stores.append(RemoteStore(config, tables, run, opening=opening, first_step=resume_after or 0))
        return asdict(stores[0].resume_cost)

    try:
        cost: dict[str, int] = {}
        if world.elastic:
            cost = world.on_root(lambda: open_as("open" if resume_after is None else "resume"))
            if not stores:
                open_as("join")
        else:  # not a collective: rank 0 may open a store before the others do, see inference/load.py
            open_as("open")
        if isinstance(world, ElasticWorld):
            world.on_lost = stores[0].interrupt
        yield OpenedStore(store=stores[0], **cost)
        world.barrier()
        if world.rank == 0:
            stores[0].close_run()
    finally:
        for store in stores:
            store.close()


def new_generation(config: ClientConfig) -> int:
    """Return the number of the next opening of a run on its servers; 0 without servers. Rank 0 asks.

    Raises:
        EsmmError: As ``opened_store``.
    """
    if config.embedded:
        return 0
    from esmm_dist.parameter_server.generations import next_generation

    return next_generation(config)
