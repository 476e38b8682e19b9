"""Three ways to attend to ragged lists: CPU time and memory of a step's forward and backward pass.

Command:   python -m tests.benchmarks.attention_forms
Machine:   any; the figures in esmm_dist/model/README.md are of 2 cores of an AMD EPYC (AVX-512)
Time:      a minute

The batch is that of a large log: 512 groups of up to 8 impressions, and four lists of the mean lengths of Ali-CCP's.
Each way runs in a process of its own, for its memory. All compute the same: the sum that is printed is that of all
outputs.
"""

import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
import tensorflow as tf

from esmm_dist.model.config import ModelConfig
from esmm_dist.model.networks.din import Din
from esmm_dist.model.pooled_fields import FieldLayout, ListRows, PooledFields

GROUPS, DIM, STEPS = 512, 16, 5
MEAN_LENGTHS = (69.0, 250.0, 153.6, 135.9)
LAYOUT = FieldLayout(
    user_dims={f"list {n}": DIM for n in range(4)},
    impression_dims={f"item {n}": DIM for n in range(4)},
    attended={f"list {n}": f"item {n}" for n in range(4)},
)


def in_blocks(net: Din, name: str, pooled: PooledFields) -> tf.Tensor:
    """Attend as the network does."""
    return net.attended(name, pooled)


def by_gathering(net: Din, name: str, pooled: PooledFields) -> tf.Tensor:
    """Gather a row of the element and a query for each pair."""
    listed, unit = pooled.lists[name], net._units[name]
    query, groups = pooled.field(LAYOUT.attended[name]), pooled.group_of_impression
    lengths = tf.gather(listed.lengths, groups)
    impression = tf.repeat(tf.range(tf.size(groups, out_type=tf.int64)), lengths)
    within = tf.range(tf.size(impression, out_type=tf.int64)) - tf.gather(
        tf.cumsum(lengths, exclusive=True), impression
    )
    element = within + tf.gather(tf.gather(tf.cumsum(listed.lengths, exclusive=True), groups), impression)
    keys, queries = tf.gather(listed.rows, element), tf.gather(query, impression)
    hidden = tf.gather(listed.rows @ unit.key, element) + tf.gather(query @ unit.query + unit.bias, impression)
    [(kernel, bias)] = unit.later
    activations = tf.nn.relu(hidden + (keys * queries) @ unit.product) @ kernel + bias
    weighted = activations * tf.gather(listed.weights, element)[:, tf.newaxis] * keys
    return tf.math.unsorted_segment_sum(weighted, impression, tf.size(groups))


def padded(net: Din, name: str, pooled: PooledFields) -> tf.Tensor:
    """Pad the lists to the longest, and impressions to the most of a group."""
    listed, unit = pooled.lists[name], net._units[name]
    query, groups = pooled.field(LAYOUT.attended[name]), pooled.group_of_impression
    per_group = tf.math.bincount(tf.cast(groups, tf.int32), minlength=GROUPS)

    def dense(values: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        return tf.RaggedTensor.from_row_lengths(values, tf.cast(lengths, tf.int64)).to_tensor()

    keys = dense(listed.rows, listed.lengths)  # [G, L, D]
    weights = dense(listed.weights[:, tf.newaxis], listed.lengths)
    queries = dense(query, per_group)  # [G, I, D]
    matrices = unit.key + queries[..., tf.newaxis] * unit.product  # [G, I, D, A]
    hidden = tf.einsum("gld,gida->glia", keys, matrices) + (queries @ unit.query + unit.bias)[:, tf.newaxis]
    [(kernel, bias)] = unit.later
    activations = (tf.nn.relu(hidden) @ kernel + bias)[..., 0]
    attended = tf.matmul(activations, keys * weights, transpose_a=True)  # [G, I, D]
    return tf.boolean_mask(attended, tf.sequence_mask(per_group))


FORMS = {"blocks": in_blocks, "gathered": by_gathering, "padded": padded}


def measure(form: str) -> None:
    """Print a line for one way."""
    draw = np.random.default_rng(1)
    per_group = np.where(draw.random(GROUPS) < 0.85, 8, draw.integers(1, 9, GROUPS))
    group_of, impressions = tf.constant(np.repeat(np.arange(GROUPS), per_group)), int(per_group.sum())
    lengths = [
        np.maximum(1, draw.lognormal(np.log(mean) - 0.18, 0.6, GROUPS)).astype(np.int64) for mean in MEAN_LENGTHS
    ]
    rows = [tf.constant(draw.normal(0, 0.1, (each.sum(), DIM)), tf.float32) for each in lengths]
    weights = [tf.constant(draw.random(each.sum()), tf.float32) for each in lengths]
    query = tf.constant(draw.normal(0, 0.1, (impressions, LAYOUT.impression_columns)), tf.float32)
    net = Din(LAYOUT, ModelConfig(network=("din",)), outputs=1, seed=1)
    units = [weight.value for weight in net.weights if weight.name.startswith("attention")]
    user = tf.zeros([GROUPS, LAYOUT.user_columns])

    @tf.function
    def step(rows: Any, query: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([rows, query])
            pooled = LAYOUT.pooled(user, query, group_of, _lists(rows, lengths, weights))
            total = tf.add_n([tf.reduce_sum(FORMS[form](net, name, pooled)) for name in LAYOUT.attended])
        return total, tape.gradient(total, [rows, query, *units])

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total, _ = step(rows, query)
    start = time.process_time()
    for _ in range(STEPS):
        step(rows, query)
    seconds = (time.process_time() - start) / STEPS
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    pairs = sum(int((each * per_group).sum()) for each in lengths)
    print(
        f"{form:<9} {seconds:.2f} CPU-seconds, {grown:.1f} GB, {pairs / 1e6:.2f} million pairs, sum {float(total):.3f}"
    )


def _lists(rows: list[tf.Tensor], lengths: list[Any], weights: list[tf.Tensor]) -> dict[str, Any]:
    parts = zip(LAYOUT.attended, rows, lengths, weights, strict=True)
    return {name: ListRows(of_list, tf.constant(length), weight) for name, of_list, length, weight in parts}


def main() -> None:
    """Print a line for each way."""
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    for form in FORMS:
        subprocess.run([sys.executable, "-m", "tests.benchmarks.attention_forms", form], check=True)


if __name__ == "__main__":
    main()
