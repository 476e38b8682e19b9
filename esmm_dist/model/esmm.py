"""The Entire Space Multi-Task Model: one tower a label over shared embeddings."""

import keras
import tensorflow as tf

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.model.base_network import PooledFields, base_network_class
from esmm_dist.model.config import ModelConfig
from esmm_dist.schema.fields import Field, Schema


class Esmm(keras.Model):
    """Logits of a label chain from the pooled rows of a grouped batch.

    Source: Ma et al., SIGIR 2018, arXiv 1804.07931, figure 2: embeddings and pooling are shared, towers are not.
    """

    def __init__(self, schema: Schema, embedding: EmbeddingConfig, config: ModelConfig, *, seed: int) -> None:
        """Make one tower a label.

        Raises:
            ConfigError: The BASE network cannot be loaded.
        """
        super().__init__()
        self._layout = {
            table: (
                _count(schema.user_fields, table),
                _count(schema.impression_fields, table),
                embedding.dim_of(table),
            )
            for table in schema.tables
        }
        user_columns = sum(fields * dim for fields, _, dim in self._layout.values())
        impression_columns = sum(fields * dim for _, fields, dim in self._layout.values())
        tower_class = base_network_class(config.base_network)
        self.towers = [
            tower_class(user_columns, impression_columns, config, seed=seed * 1000 + number)
            for number in range(len(schema.labels))
        ]
        self.built = True

    def num_segments(self, table: str, groups: tf.Tensor, impressions: tf.Tensor) -> tf.Tensor:
        """Return S = G · F_u + B · F_i of a table, int64 scalar, for G groups and B impressions (int64 scalars)."""
        user_fields, impression_fields, _ = self._layout[table]
        return groups * user_fields + impressions * impression_fields

    def call(
        self,
        pooled: dict[str, tf.Tensor],
        group_of_impression: tf.Tensor,
        groups: tf.Tensor,
        dropout_seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Return the logits of the conditional probabilities, float32 [B, K].

        Args:
            pooled: For each table float32 [S, D]: G·F_u user segments, then B·F_i impression segments.
            group_of_impression: int64 [B].
            groups: int64 scalar G.
            dropout_seed: int32 [2]; None when not training.
        """
        user_parts, impression_parts = [], []
        for table, (user_fields, impression_fields, dim) in self._layout.items():
            split = groups * user_fields
            user_parts.append(tf.reshape(pooled[table][:split], [groups, user_fields * dim]))
            impression_parts.append(
                tf.reshape(pooled[table][split:], [tf.shape(group_of_impression)[0], impression_fields * dim])
            )
        fields = PooledFields(tf.concat(user_parts, 1), tf.concat(impression_parts, 1), group_of_impression)
        logits = []
        for number, tower in enumerate(self.towers):
            seed = None if dropout_seed is None else dropout_seed + tf.constant([number * 1000, 0], dtype=tf.int32)
            logits.append(tower(fields, dropout_seed=seed))
        return tf.stack(logits, axis=1)


def _count(fields: tuple[Field, ...], table: str) -> int:
    return sum(field.table == table for field in fields)
