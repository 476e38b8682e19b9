"""Train ESMM with plain Keras on TensorFlow: the whole table is one Embedding layer; print the speed as one JSON line.

Runs in the peers' environment (``make bench-peers``), with exported batches that are ready in memory before the clock
starts. Keras' Adagrad gets the table's gradient as the rows that a batch touches (IndexedSlices), and updates those.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from batches import Export, PeerBatch

DIM = 16


class Esmm(keras.Model):
    """Two towers over pooled rows."""

    def __init__(self, export: Export) -> None:
        super().__init__()
        self.fields = export.user_fields + export.impression_fields
        self.table = keras.layers.Embedding(
            export.rows, DIM, embeddings_initializer=keras.initializers.RandomUniform(-0.01, 0.01)
        )
        self.towers = [
            keras.Sequential(
                [
                    keras.Input((self.fields * DIM,)),
                    keras.layers.Dense(256, activation="relu"),
                    keras.layers.Dense(128, activation="relu"),
                    keras.layers.Dense(1),
                ]
            )
            for _ in range(2)
        ]

    def call(self, rows: tf.Tensor, bags: tf.Tensor, weights: tf.Tensor, impressions: tf.Tensor) -> tf.Tensor:
        """Return logits float32 [B, 2]."""
        values = self.table(rows) * weights[:, tf.newaxis]
        pooled = tf.math.segment_sum(values, bags)  # [F * B, D], without trailing empty bags
        missing = self.fields * impressions - tf.shape(pooled)[0]
        pooled = tf.pad(pooled, [[0, missing], [0, 0]])
        by_field = tf.reshape(pooled, [self.fields, impressions, DIM])
        columns = tf.reshape(tf.transpose(by_field, [1, 0, 2]), [impressions, self.fields * DIM])
        return tf.concat([tower(columns) for tower in self.towers], axis=1)


def loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return the mean of the CTR loss plus that of the CTCVR loss, in log space."""
    log_p, log_q = tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)
    log_both = tf.reduce_sum(log_p, axis=1)
    log_not_both = tf.reduce_logsumexp(tf.stack([log_q[:, 0], log_p[:, 0] + log_q[:, 1]]), axis=0)
    click, conversion = labels[:, 0], labels[:, 1]
    of_click = click * log_p[:, 0] + (1 - click) * log_q[:, 0]
    of_both = conversion * log_both + (1 - conversion) * log_not_both
    return -tf.reduce_mean(of_click + of_both)


def tensors(batch: PeerBatch) -> tuple[tf.Tensor, ...]:
    """Return rows, bag and weight of each id, and labels."""
    bags = batch.repeated
    assert bags is not None
    of_ids = np.repeat(np.arange(len(bags.offsets) - 1), np.diff(bags.offsets))
    return tuple(tf.constant(array) for array in (bags.rows, of_ids, bags.weights, batch.labels))


def main() -> None:
    """Train and time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("--warm-steps", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20, help="all together")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    keras.utils.set_random_seed(1)
    model = Esmm(Export.open(arguments.export))
    of_rows = keras.optimizers.Adagrad(0.05, initial_accumulator_value=0.1)
    of_towers = keras.optimizers.Adam(1e-3)

    @tf.function(reduce_retracing=True)
    def step(rows: tf.Tensor, bags: tf.Tensor, weights: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            value = loss(model(rows, bags, weights, tf.shape(labels)[0]), labels)
        table, *dense = model.trainable_variables
        of_table, *of_dense = tape.gradient(value, [table.value, *(variable.value for variable in dense)])
        of_rows.apply([of_table], [table])
        of_towers.apply(of_dense, dense)

    batches = [tensors(batch) for batch in Export.open(arguments.export).train(grouped=False, most=arguments.steps)]
    model(*batches[0][:3], tf.shape(batches[0][3])[0])
    of_rows.build(model.trainable_variables[:1])
    of_towers.build(model.trainable_variables[1:])
    wall = cpu = impressions = 0.0
    for number, batch in enumerate(batches):
        if number == arguments.warm_steps:
            wall, cpu, impressions = time.monotonic(), time.process_time(), 0
        step(*batch)
        impressions += len(batch[3])
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    print(json.dumps({"impressions": impressions, "wall_s": wall, "cpu_s": cpu}))


if __name__ == "__main__":
    main()
