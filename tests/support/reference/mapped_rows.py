"""Rows of layers, found in plain Python and read with NumPy."""

import numpy as np

from esmm_dist.arrays import F32, Bools, Ids
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.served_model.layers import Layer


def find(layers: list[Layer], ids: Ids, start: StartValues) -> tuple[F32, Bools]:
    """Return the rows of ids float32 [U, D], and which have one bool [U]; layers are newest first."""
    known: dict[int, F32 | None] = {}
    for layer in reversed(layers):
        for shard in layer.shards:
            for place, id_ in enumerate(shard.ids.tolist()):
                if shard.values is None:
                    known[id_] = None
                    continue
                scale = np.float32(1) if shard.scales is None else shard.scales[place]
                known[id_] = shard.values[place].astype(np.float32) * scale
    rows, found = start.rows(ids), np.zeros(len(ids), np.bool_)
    for place, id_ in enumerate(ids.tolist()):
        row = known.get(id_)
        if row is not None:
            rows[place], found[place] = row, True
    return rows, found
