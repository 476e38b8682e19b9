"""One of the clients that push to the same 100 ids as fast as they can; prints the sum of what it pushed by id."""

import json
import sys

import numpy as np

from esmm_dist.embedding.run_tables import RunTables
from esmm_dist.process.quiet import import_tensorflow

import_tensorflow()

from esmm_dist.parameter_server.config import ClientConfig  # noqa: E402
from esmm_dist.parameter_server.remote_store import RemoteStore  # noqa: E402
from esmm_dist.parameter_server.run_identity import RunIdentity  # noqa: E402
from tests.parallel.store_clients import DIM, embedding  # noqa: E402


def main() -> None:
    """Push whole numbers to random ids, as often as the last argument says."""
    servers, location, generation, rank, pushes = sys.argv[1:]
    run = RunIdentity(location=location, generation=int(generation), rank=int(rank), world_size=4)
    config = ClientConfig(servers=servers, update_mode="async", server_timeout_s=30.0)
    learning = embedding("sgd", embedding_learning_rate=1.0, start_scale=0.0)
    store = RemoteStore(config, RunTables(names=("main",), embedding=learning, seed=1), run)
    random, sums = np.random.default_rng(int(rank)), np.zeros(100)
    for step in range(1, int(pushes) + 1):
        ids = np.unique(random.integers(0, 100, 20))
        gradients = random.integers(-3, 4, (len(ids), 1)).astype(np.float32).repeat(DIM, axis=1)
        store.push(store.prepare("main", ids), gradients, impressions=1, step=step)
        sums[ids] += gradients[:, 0]
    store.close()
    print(json.dumps(sums.tolist()))


main()
