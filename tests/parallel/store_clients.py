"""Stores on servers, random steps, and comparisons that the tests of servers share."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.arrays import F32, Ids
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.run_tables import RunTables
from esmm_dist.embedding.store import EmbeddingStore
from esmm_dist.embedding.table_files import TableFile, read_rows
from esmm_dist.parameter_server.config import ClientConfig
from esmm_dist.parameter_server.generations import next_generation
from esmm_dist.parameter_server.remote_store import RemoteStore
from esmm_dist.parameter_server.run_identity import RunIdentity
from esmm_dist.storage.folder import Folder

DIM = 4
OPTIMIZERS = ("adagrad", "rowwise_adagrad", "adam", "sgd", "momentum", "ftrl")


def embedding(optimizer: str = "adagrad", **settings) -> EmbeddingConfig:
    if optimizer == "momentum":
        settings |= {"embedding_momentum": 0.8}
        optimizer = "sgd"
    return EmbeddingConfig(
        **{"embedding_dim": DIM, "embedding_optimizer": optimizer, "embedding_learning_rate": 0.05, **settings}
    )


@contextlib.contextmanager
def open_stores(
    servers: str,
    config: EmbeddingConfig,
    run: Path | str,
    *,
    world_size: int = 1,
    tables: tuple[str, ...] = ("main",),
    close_run: bool = True,
    keep_undo: bool = False,
    **client: Any,
) -> Iterator[list[RemoteStore]]:
    """Open a run on servers as each of its ranks; close it at the end."""
    settings = ClientConfig(**{"servers": servers, "server_timeout_s": 30.0, **client})
    generation = next_generation(settings)
    all_tables = RunTables(names=tables, embedding=config, seed=1, keep_undo=keep_undo)
    stores = []
    try:
        for rank in range(world_size):
            identity = RunIdentity(location=str(run), generation=generation, rank=rank, world_size=world_size)
            stores.append(RemoteStore(settings, all_tables, identity))
        yield stores
    finally:
        if stores and close_run:
            stores[0].close_run()
        for store in stores:
            store.close()


def random_step(step: int, *, ids: int = 300, most: int = 200) -> tuple[Ids, F32]:
    """Return what a step pushes: unique ids, some new and some known, and gradients."""
    random = np.random.default_rng(step)
    unique = np.unique(random.integers(-ids, ids, most))
    return unique, random.normal(size=(len(unique), DIM)).astype(np.float32)


def train(store: EmbeddingStore, steps: range, table: str = "main") -> None:
    """Make random steps, with learning rates that fall."""
    for step in steps:
        ids, gradients = random_step(step)
        ticket = store.prepare(table, ids)
        # Gradients depend on what was pulled, so that a wrong pull shows
        gradients += store.pull(ticket, step=step)
        store.push(ticket, gradients, impressions=7, step=step, rate_factor=1 / (1 + step / 100))


def pulled_rows(store: EmbeddingStore, table: str, ids: Ids, *, step: int | None = None) -> F32:
    """Read rows that nothing is pushed for."""
    return store.pull(store.prepare(table, ids), step=step)


def saved(store: EmbeddingStore, run: Path | str, step: int) -> tuple[Folder, tuple[TableFile, ...]]:
    """Save a store as a checkpoint's rows."""
    folder = Folder.open(run) / "checkpoints" / f"step-{step:08d}"
    folder.make()
    return folder, store.save(folder, step=step)


def rows_of(folder: Folder, files: tuple[TableFile, ...], table: str = "main") -> dict[int, bytes]:
    """Return every row of a saved table, with slot variables, last step and count, as bytes by id."""
    found: dict[int, bytes] = {}
    for file in files:
        if file.table != table or file.kind != "rows":
            continue
        rows = read_rows(folder, file)
        for i, id_ in enumerate(rows.ids.tolist()):
            assert id_ not in found, f"{id_} is in two files"
            found[id_] = b"".join(column[i].tobytes() for column in (rows.rows, rows.slots, rows.last_step, rows.count))
    return found


def embedded(config: EmbeddingConfig, tables: tuple[str, ...] = ("main",), *, keep_undo: bool = False) -> EmbeddedStore:
    return EmbeddedStore(tables, config, seed=1, keep_undo=keep_undo)
