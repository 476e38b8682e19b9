"""Open the store of a run's rows: in this process, or on parameter servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.parameter_server.config import ClientConfig
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
    tables: tuple[str, ...],
    embedding: EmbeddingConfig,
    *,
    seed: int,
    location: str,
    purpose: str,
    generation: int,
    world: World,
    keep_undo: bool = False,
    go_on_after: int | None = None,
) -> Iterator[OpenedStore]:
    """Open a store for the ``with`` block. On servers all ranks open it, and get the same rows.

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
        keep_undo: Whether the servers keep what they need to undo a step.
        go_on_after: Go on with the rows that the servers have, as they were after this step. None: open an empty store.

    Raises:
        ConfigError: A token or certificate cannot be read.
        RetryError: A server cannot be reached.
        ServerError: A server refuses.
        LostError: A rank or a server was lost meanwhile.
    """
    if config.embedded:
        yield OpenedStore(store=EmbeddedStore(tables, embedding, seed=seed))
        return
    from esmm_dist.parameter_server.client import Opening, RemoteStore, RunIdentity  # loads Arrow Flight

    run = RunIdentity(location=location, generation=generation, rank=world.rank, world_size=world.size, purpose=purpose)

    def remote(opening: Opening) -> RemoteStore:
        first_step = go_on_after or 0
        return RemoteStore(
            config, tables, embedding, seed=seed, run=run, first_step=first_step, opening=opening, keep_undo=keep_undo
        )

    stores: list[RemoteStore] = []

    def open_first() -> dict[str, int]:
        stores.append(remote("open" if go_on_after is None else "continue"))
        return asdict(stores[0].rewound)

    try:
        rewound: dict[str, int] = {}
        if world.elastic:
            rewound = world.on_root(open_first)
            if not stores:
                stores.append(remote("join"))
        else:  # no meeting: rank 0 may open a store before the others do, see serve/load.py
            stores.append(remote("open"))
        if isinstance(world, ElasticWorld):
            world.on_lost = stores[0].interrupt
        yield OpenedStore(store=stores[0], **rewound)
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
    from esmm_dist.parameter_server.client import next_generation

    return next_generation(config)
