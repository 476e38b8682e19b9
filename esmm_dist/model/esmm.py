"""The Entire Space Multi-Task Model: one tower a label over shared embeddings."""

import keras
import tensorflow as tf

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.errors import ConfigError
from esmm_dist.model.base_network import PooledFields
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.towers import logits_of, make_towers
from esmm_dist.schema.fields import Field, Schema


class Esmm(keras.Model):
    """Logits of a label chain from the pooled rows of a grouped batch.

    Source: Ma et al., SIGIR 2018, arXiv 1804.07931, figure 2: embeddings and pooling are shared, towers are not. The
    linear term (off by default) is the wide part of Cheng et al., "Wide & Deep Learning for Recommender Systems", DLRS
    2016, arXiv 1606.07792, equation 3, with its weights in the rows' first columns.
    """

    def __init__(
        self,
        schema: Schema,
        embedding: EmbeddingConfig,
        config: ModelConfig,
        *,
        seed: int,
        mixed_precision: bool = False,
    ) -> None:
        """Make one tower a label.

        Args:
            schema: fields and labels
            embedding: dimensions of the rows
            config: settings of the towers
            seed: seed of the start values
            mixed_precision: as in ``HardwareConfig``

        Raises:
            ConfigError: The BASE network cannot be used, or rows have no column left beside the linear term's.
        """
        super().__init__()
        self._linear_scale = config.linear_scale or 0.0
        self._linear_columns = len(schema.labels) if self._linear_scale else 0
        self.uses_norms = config.linear_lists == "unit" and self._linear_columns > 0
        for table in schema.tables:
            if embedding.dim_of(table) <= self._linear_columns:
                raise ConfigError(
                    f"Table '{table}': embedding_dim is {embedding.dim_of(table)}, but with linear_scale "
                    f"{self._linear_scale} the first {self._linear_columns} columns are the linear term's. Set more."
                )
        self._layout = {
            table: (
                _count(schema.user_fields, table),
                _count(schema.impression_fields, table),
                embedding.dim_of(table),
            )
            for table in schema.tables
        }
        used = self._linear_columns
        user_columns = sum(fields * (dim - used) for fields, _, dim in self._layout.values())
        impression_columns = sum(fields * (dim - used) for _, fields, dim in self._layout.values())
        self.towers = make_towers(
            config,
            number=len(schema.labels),
            user_columns=user_columns,
            impression_columns=impression_columns,
            seed=seed,
        )
        for tower in self.towers:
            tower.mixed_precision = mixed_precision
        self.built = True

    @property
    def dim_by_table(self) -> dict[str, int]:
        """D of each table."""
        return {table: dim for table, (_, _, dim) in self._layout.items()}

    def call(
        self,
        pooled: dict[str, tf.Tensor],
        group_of_impression: tf.Tensor,
        groups: tf.Tensor,
        dropout_seed: tf.Tensor | None = None,
        training: bool = False,
        norms: dict[str, tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """Return the logits of the conditional probabilities, float32 [B, K].

        Args:
            pooled: For each table float32 [S, D]: G·F_u user segments, then B·F_i impression segments.
            group_of_impression: int64 [B].
            groups: int64 scalar G.
            dropout_seed: int32 [2]; None when not training.
            training: Whether layers behave as in training. Keras hands it on to all layers within.
            norms: For each table float32 [S, 1], what the linear term divides by; None unless ``uses_norms``.
        """
        impressions = tf.shape(group_of_impression, out_type=tf.int64)[0]
        user_parts, impression_parts, linear_parts = [], [], []
        for table, (user_fields, impression_fields, dim) in self._layout.items():
            # Split, not sliced: the gradient is then one concatenation, and not a slow write into zeros for each part
            split = groups * user_fields
            users, rest = tf.split(pooled[table], [split, impressions * impression_fields])
            linear_users, of_users = self._split_columns(tf.reshape(users, [groups, user_fields, dim]))
            linear_impressions, of_impressions = self._split_columns(
                tf.reshape(rest, [impressions, impression_fields, dim])
            )
            user_parts.append(of_users)
            impression_parts.append(of_impressions)
            if self._linear_columns:
                if norms is not None:
                    linear_users /= tf.reshape(norms[table][:split], [groups, user_fields, 1])
                    linear_impressions /= tf.reshape(norms[table][split:], [impressions, impression_fields, 1])
                user_linear = tf.reduce_sum(linear_users, axis=1)
                linear = tf.reduce_sum(linear_impressions, axis=1)
                linear_parts.append(linear + tf.gather(user_linear, group_of_impression))
        fields = PooledFields(tf.concat(user_parts, 1), tf.concat(impression_parts, 1), group_of_impression)
        logits = []
        for number, tower in enumerate(self.towers):
            seed = None if dropout_seed is None else dropout_seed + tf.constant([number * 1000, 0], dtype=tf.int32)
            logits.append(logits_of(tower, fields, seed))
        stacked = tf.stack(logits, axis=1)
        return stacked + self._linear_scale * tf.add_n(linear_parts) if linear_parts else stacked

    def _split_columns(self, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the linear term's columns of float32 [n, F, D], and what towers see, flattened to [n, F · rest]."""
        fields, dim = values.shape[1], values.shape[2]
        used = self._linear_columns
        linear, rest = tf.split(values, [used, dim - used], axis=2) if used else (values[:, :, :0], values)
        return linear, tf.reshape(rest, [tf.shape(values)[0], fields * (dim - used)])


def _count(fields: tuple[Field, ...], table: str) -> int:
    return sum(field.table == table for field in fields)
