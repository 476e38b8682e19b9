"""What the networks cost: CPU time of a step's forward and backward pass of each, beside that of mlp.

Command:   python -m tests.benchmarks.network_cost
Machine:   any; the figures in esmm_dist/model/README.md are of 2 cores of an AMD EPYC (AVX-512)
Time:      a minute

The batch is that of a large log: 4,096 impressions of 545 groups, 13 user fields and 6 others of 16 columns, hidden
layers 256 and 128, two labels. Pooling, rows, losses and the optimizer are not in it. Networks that attend to lists do
so to four of the users', of the mean lengths of Ali-CCP's (609 elements a group, 2.5 million pairs with impressions).
"""

import time
from typing import Any

import numpy as np
import tensorflow as tf

from esmm_dist.model.config import ModelConfig
from esmm_dist.model.network_names import NETWORKS
from esmm_dist.model.pooled_fields import FieldLayout, ListRows
from esmm_dist.model.towers import make_towers

GROUPS, IMPRESSIONS, DIM = 545, 4096, 16
LAYOUT = FieldLayout(
    user_dims={f"user {n}": DIM for n in range(13)},
    impression_dims={f"item {n}": DIM for n in range(6)},
    attended={f"user {n}": f"item {n}" for n in range(4)},
)
LIST_LENGTHS = {"user 0": 69.0, "user 1": 250.0, "user 2": 153.6, "user 3": 135.9}
"""Mean elements, log-normal with σ 0.6 as those of ``esmm synth``."""
VARIANTS: dict[str, dict[str, Any]] = {
    "dcn": {
        "": {},
        "--cross-layers 1": {"cross_layers": 1},
        "--cross-layers 3": {"cross_layers": 3},
        "--cross-rank 64": {"cross_rank": 64},
    },
    "mlp": {"": {}, "--share-network": {"share_network": True}},
    "mmoe": {"": {}, "--experts 8": {"experts": 8}},
    "ple": {
        "": {},
        "--own-experts 1 --experts 2": {"own_experts": 1, "experts": 2},
        "--expert-levels 1": {"expert_levels": 1},
    },
    "din": {
        "": {},
        "--attention-units 8": {"attention_units": (8,)},
        "--attention-units 32": {"attention_units": (32,)},
    },
}
"""By network: settings that change its cost, by their flags."""
LABELS = 2

ROUNDS, STEPS = 5, 10


def cpu_seconds(name: str, settings: dict[str, Any]) -> float:
    """Return the CPU-seconds of a pass, the least of some rounds."""
    draw = np.random.default_rng(0)
    user = tf.constant(draw.normal(size=(GROUPS, LAYOUT.user_columns)), tf.float32)
    impression = tf.constant(draw.normal(size=(IMPRESSIONS, LAYOUT.impression_columns)), tf.float32)
    group_of = tf.constant(np.arange(IMPRESSIONS) * GROUPS // IMPRESSIONS)
    lists = {each: _list(mean, draw) for each, mean in LIST_LENGTHS.items()}
    networks = make_towers(ModelConfig(network=(name,), **settings), LAYOUT, range(LABELS), seed=1)
    variables = [each.value for network in networks for each in network.trainable_variables]

    @tf.function
    def step(user: tf.Tensor, impression: tf.Tensor) -> Any:
        rows = [each.rows for each in lists.values()] if networks[0].wants_lists else []
        with tf.GradientTape() as tape:
            tape.watch([user, impression, *rows])
            pooled = LAYOUT.pooled(user, impression, group_of, lists)
            outputs = tf.add_n([tf.reduce_sum(network(pooled)) for network in networks])
        return tape.gradient(outputs, [user, impression, *rows, *variables])

    step(user, impression)
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(STEPS):
            step(user, impression)
        times.append((time.process_time() - start) / STEPS)
    return min(times)


def _list(mean: float, draw: np.random.Generator) -> ListRows:
    """Return a list of each group, of so many elements on average."""
    lengths = np.maximum(1, draw.lognormal(np.log(mean) - 0.18, 0.6, GROUPS).astype(np.int64))
    rows = draw.normal(0, 0.1, (lengths.sum(), DIM))
    return ListRows(
        tf.constant(rows, tf.float32), tf.constant(lengths), tf.constant(draw.random(len(rows)), tf.float32)
    )


def main() -> None:
    """Print a line for each network."""
    base = cpu_seconds("mlp", {})
    for name in NETWORKS:
        for flags, settings in VARIANTS.get(name, {"": {}}).items():
            seconds = cpu_seconds(name, settings)
            million = seconds * 1e6 / IMPRESSIONS
            print(f"{name} {flags:<18} {million:5.1f} CPU-seconds a million impressions, {seconds / base:.2f} of mlp")


if __name__ == "__main__":
    main()
