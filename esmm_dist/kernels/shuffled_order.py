"""The order in which ``tf.data`` shuffles: the records of a part keep the order of runs that TensorFlow read.

Sources: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011 (Philox 4x32-10);
tensorflow/core/lib/random/philox_random.h; tensorflow/core/kernels/data/shuffle_dataset_op.cc.
"""

import numpy as np

from esmm_dist.arrays import I64, U64
from esmm_dist.kernels.compiled import kernel

_NO_PROCESS_SEED = 87654321  # tensorflow/python/framework/random_seed.py: DEFAULT_GRAPH_SEED
_ROUNDS = 10


@kernel("void(uint64, uint64, uint64[::1])")
def _philox(seed: np.uint64, block: np.uint64, out: U64) -> None:
    """Write the four 32-bit numbers of one block of Philox 4x32-10."""
    low = np.uint64(0xFFFFFFFF)
    a, b, c, d = block & low, block >> np.uint64(32), seed & low, seed >> np.uint64(32)
    key_0, key_1 = np.uint64(_NO_PROCESS_SEED), np.uint64(0)
    for _ in range(_ROUNDS):
        product_0, product_1 = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, c = (product_1 >> np.uint64(32)) ^ b ^ key_0, (product_0 >> np.uint64(32)) ^ d ^ key_1
        b, d = product_1 & low, product_0 & low
        key_0, key_1 = (key_0 + np.uint64(0x9E3779B9)) & low, (key_1 + np.uint64(0xBB67AE85)) & low
    out[0], out[1], out[2], out[3] = a, b, c, d


@kernel("int64[::1](int64, int64)")
def shuffled_order(seed: int, size: int) -> I64:
    """Return the order of ``tf.data.Dataset.shuffle`` with a buffer that holds everything: int64 [size].

    That is a Fisher-Yates shuffle by the numbers of Philox, with the seed of the operation and with the one that
    TensorFlow takes for the process where none is set.

    Args:
        seed: seed of the operation, not 0
        size: number of elements
    """
    order = np.arange(size)
    numbers = np.empty(4, dtype=np.uint64)
    for front in range(size):
        if front % 4 == 0:
            _philox(np.uint64(seed), np.uint64(front // 4), numbers)
        pick = front + np.int64(numbers[front % 4] % np.uint64(size - front))
        chosen = order[pick]
        order[pick] = order[front]
        order[front] = chosen
    return order
