"""The Entire Space Multi-Task Model: networks over shared embeddings, with an output for each label."""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.errors import ConfigError
from esmm_dist.model.attended_fields import attended_fields, check_columns
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.pooled_fields import BesidePooled, FieldLayout, ListRows
from esmm_dist.model.seen_fields import seen_fields
from esmm_dist.model.towers import make_towers, outputs_of, wants_lists
from esmm_dist.schema.fields import Field, Schema


class Esmm(keras.Model):
    """Logits of a label chain from the pooled rows of a grouped batch.

    Its outputs are the *heads*: one a label, in their order, and behind them those that an objective may have beside.
    A head is an output of the network of its label, or of the one that all labels share.

    Source: Ma et al., SIGIR 2018, arXiv 1804.07931, figure 2: embeddings and pooling are shared, networks ("towers")
    are not, unless ``share_network`` is set. The linear term (off by default) is the wide part of Cheng et al., "Wide &
    Deep Learning for Recommender Systems", DLRS 2016, arXiv 1606.07792, equation 3, with its weights in the rows' first
    columns.
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
        """Make the networks.

        Args:
            schema: fields and labels
            embedding: dimensions of the rows
            config: settings of the networks
            seed: seed of the start values
            mixed_precision: as in ``HardwareConfig``

        Raises:
            ConfigError: A network cannot be used, the schema has no field of a name in ``fields``, rows have no
                column left beside the linear term's, or no field attends to a list as a network needs it.
        """
        super().__init__()
        self.num_labels = len(schema.labels)
        self.label_of_head = tuple(range(len(schema.labels)))
        self._linear_scale = config.linear_scale or 0.0
        self._linear_columns = len(schema.labels) if self._linear_scale else 0
        self.uses_norms = config.linear_lists == "unit" and self._linear_columns > 0
        for table in schema.tables:
            if embedding.dim_of(table) <= self._linear_columns:
                raise ConfigError(
                    f"Table '{table}': embedding_dim is {embedding.dim_of(table)}, but with linear_scale "
                    f"{self._linear_scale} the first {self._linear_columns} columns are the linear term's. Set more."
                )
        self.seen_fields = seen_fields(schema, config.fields)
        self._dims = {table: embedding.dim_of(table) for table in schema.tables}
        used = self._linear_columns
        attended = attended_fields(schema, self.seen_fields, config, wanted=wants_lists(config, seed=seed))
        columns = {table: dim - used for table, dim in self._dims.items()}
        self.layout = _layout(self.seen_fields, schema.tables, columns, attended)
        check_columns(self.layout)
        self._lists = {
            table: [f.name for f in self.seen_fields if f.table == table and f.name in attended]
            for table in schema.tables
        }
        self._counts = {
            table: (
                sum(field.table == table and field.owner == "user" for field in self.seen_fields),
                sum(field.table == table and field.owner != "user" for field in self.seen_fields),
            )
            for table in schema.tables
        }
        self.towers = make_towers(config, self.layout, self.label_of_head, seed=seed)
        for tower in self.towers:
            tower.mixed_precision = mixed_precision
        self.built = True

    @property
    def dim_by_table(self) -> dict[str, int]:
        """D of each table."""
        return dict(self._dims)

    @property
    def heads(self) -> int:
        """H, the number of outputs."""
        return len(self.label_of_head)

    def call(
        self,
        pooled: dict[str, tf.Tensor],
        group_of_impression: tf.Tensor,
        groups: tf.Tensor,
        dropout_seed: tf.Tensor | None = None,
        training: bool = False,
        beside: BesidePooled | None = None,
    ) -> tf.Tensor:
        """Return the outputs of all heads, float32 [B, H]; those of labels are logits of conditional probabilities.

        The linear term is in the heads of labels alone.

        Args:
            pooled: for each table float32 [S, D]: G·F_u user segments, then B·F_i impression segments, of the fields
                that the model sees, then a row for each element of its attended lists
            group_of_impression: int64 [B]
            groups: int64 scalar G
            dropout_seed: int32 [2]; None when not training
            training: whether layers behave as in training; Keras hands it on to all layers within
            beside: what the linear term and the networks take beside the pooled rows; None: nothing
        """
        impressions = tf.shape(group_of_impression, out_type=tf.int64)[0]
        norms, lists = beside or BesidePooled({}, {})
        user_parts, impression_parts, linear_parts = [], [], []
        list_rows: dict[str, tf.Tensor] = {}
        for table, (user_fields, impression_fields) in self._counts.items():
            dim = self._dims[table]
            # Split, not sliced: the gradient is then one concatenation, and not a slow write into zeros for each part
            split = groups * user_fields
            elements = {name: tf.size(lists[name].weights, out_type=tf.int64) for name in self._lists[table]}
            sizes = [split, impressions * impression_fields, *elements.values()]
            users, rest, *rows = tf.split(pooled[table], sizes)
            list_rows |= {name: self._seen_columns(each) for name, each in zip(elements, rows, strict=True)}
            linear_users, of_users = self._split_columns(tf.reshape(users, [groups, user_fields, dim]))
            linear_impressions, of_impressions = self._split_columns(
                tf.reshape(rest, [impressions, impression_fields, dim])
            )
            user_parts.append(of_users)
            impression_parts.append(of_impressions)
            if self._linear_columns:
                if norms:
                    linear_users /= tf.reshape(norms[table][:split], [groups, user_fields, 1])
                    linear_impressions /= tf.reshape(norms[table][split:], [impressions, impression_fields, 1])
                user_linear = tf.reduce_sum(linear_users, axis=1)
                linear = tf.reduce_sum(linear_impressions, axis=1)
                linear_parts.append(linear + tf.gather(user_linear, group_of_impression))
        attended = {name: ListRows(rows, *lists[name]) for name, rows in list_rows.items()}
        of_user, of_impression = tf.concat(user_parts, 1), tf.concat(impression_parts, 1)
        fields = self.layout.pooled(of_user, of_impression, group_of_impression, attended)
        found = []
        for number, tower in enumerate(self.towers):
            seed = None if dropout_seed is None else dropout_seed + tf.constant([number * 1000, 0], dtype=tf.int32)
            found.append(outputs_of(tower, fields, seed))
        outputs = tf.concat(found, axis=1)
        if not linear_parts:
            return outputs
        linear = self._linear_scale * tf.add_n(linear_parts)
        if self.heads > self._linear_columns:
            linear = tf.pad(linear, [[0, 0], [0, self.heads - self._linear_columns]])
        return outputs + linear

    def _seen_columns(self, rows: tf.Tensor) -> tf.Tensor:
        """Return what networks see of rows float32 [n, D]: not the columns of the linear term."""
        return rows[:, self._linear_columns :] if self._linear_columns else rows

    def _split_columns(self, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the linear term's columns of float32 [n, F, D], and what networks see, flattened to [n, F · rest]."""
        fields, dim = values.shape[1], values.shape[2]
        used = self._linear_columns
        linear, rest = tf.split(values, [used, dim - used], axis=2) if used else (values[:, :, :0], values)
        return linear, tf.reshape(rest, [tf.shape(values)[0], fields * (dim - used)])


def _layout(
    fields: Sequence[Field], tables: Sequence[str], columns: Mapping[str, int], attended: Mapping[str, str]
) -> FieldLayout:
    """Return the layout of fields.

    Args:
        fields: the fields that the model sees
        tables: tables of the schema
        columns: number of columns that networks see of the rows of each table
        attended: the field that attends to each attended list
    """
    ordered = [field for table in tables for field in fields if field.table == table]
    aliases = [field.alias for field in ordered]
    names = {field.name for field in ordered}
    return FieldLayout(
        user_dims={field.name: columns[field.table] for field in ordered if field.owner == "user"},
        impression_dims={field.name: columns[field.table] for field in ordered if field.owner != "user"},
        aliases={f.alias: f.name for f in ordered if aliases.count(f.alias) == 1 and f.alias not in names},
        attended=attended,
    )
