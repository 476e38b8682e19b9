"""The Entire Space Multi-Task Model, and what it is compared with: networks over embeddings, and their outputs."""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.errors import ConfigError
from esmm_dist.model.attended_fields import attended_fields, check_columns
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.objectives.label_shares import LabelShares
from esmm_dist.model.objectives.make import make_objective
from esmm_dist.model.pooled_fields import BesidePooled, FieldLayout, ListRows
from esmm_dist.model.row_columns import RowColumns
from esmm_dist.model.seen_fields import seen_fields
from esmm_dist.model.towers import make_towers, outputs_of, wants_lists
from esmm_dist.schema.fields import Field, Schema


class Esmm(keras.Model):
    """Outputs for the labels of a log from the pooled rows of a grouped batch; ``objective`` says what they mean.

    Its outputs are the *heads*: one a label, in their order, and behind them those that an objective may have beside.
    A head is an output of the network of its label, or of the one that all labels share.

    Source: Ma et al., SIGIR 2018, arXiv 1804.07931, figure 2: embeddings and pooling are shared, networks ("towers")
    are not, unless ``share_network`` is set; with ``share_embeddings`` false each network has columns of its own in
    every row. The linear term (off by default) is the wide part of Cheng et al., "Wide & Deep Learning for Recommender
    Systems", DLRS 2016, arXiv 1606.07792, equation 3, with its weights in the rows' first columns.
    """

    def __init__(
        self,
        schema: Schema,
        embedding: EmbeddingConfig,
        config: ModelConfig,
        *,
        seed: int,
        mixed_precision: bool = False,
        label_shares: LabelShares | None = None,
    ) -> None:
        """Make the networks.

        Args:
            schema: fields and labels
            embedding: dimensions of the rows
            config: settings of the networks
            seed: seed of the start values
            mixed_precision: as in ``HardwareConfig``
            label_shares: constants of the training data, by which the objective scales losses; None: it does not

        Raises:
            ConfigError: A network cannot be used, the schema has no field of a name in ``fields``, rows have no
                column left beside the linear term's, or no field attends to a list as a network needs it.
        """
        # Keras numbers the names of layers through a process, and TensorFlow adds gradients in the order of names:
        # dense_10 stands before dense_9. A model's bits must not depend on how many others the process has made.
        keras.utils.clear_session(free_memory=False)
        super().__init__()
        self.objective = make_objective(config, schema.label_tree, label_shares)
        self.num_labels = len(schema.labels)
        self.label_of_head = self.objective.head_labels
        self._linear_scale = config.linear_scale or 0.0
        self._columns = RowColumns(
            heads=self.heads, slices=config.row_slices(self.num_labels), linear=self._linear_scale > 0
        )
        self.uses_norms = config.linear_lists == "unit" and self._columns.linear
        self._dims = {table: embedding.slice_dim_of(table) * self._columns.slices for table in schema.tables}
        used = self._columns.linear_columns
        for table in schema.tables:
            if (dim := embedding.slice_dim_of(table)) <= used:
                raise ConfigError(
                    f"Table '{table}': embedding_dim is {dim}, but with linear_scale {self._linear_scale} the first "
                    f"{'column is' if used == 1 else f'{used} columns are'} the linear term's. Set more."
                )
        self.seen_fields = seen_fields(schema, config.fields)
        attended = attended_fields(schema, self.seen_fields, config, wanted=wants_lists(config, seed=seed))
        columns = {table: embedding.slice_dim_of(table) - used for table in schema.tables}
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
        if self._columns.slices > len(self.towers):
            raise config.sharing_needed(config.network[0])  # one's own; those of this project are refused before
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
        """Return the outputs of all heads, float32 [B, H], which ``objective`` makes losses and predictions of.

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
        user_parts, impression_parts, linear_parts = [], [], []  # by table, then by slice
        list_rows: dict[str, list[tf.Tensor]] = {}
        for table, (user_fields, impression_fields) in self._counts.items():
            dim = self._dims[table]
            split = groups * user_fields
            elements = {name: tf.size(lists[name].weights, out_type=tf.int64) for name in self._lists[table]}
            sizes = [split, impressions * impression_fields, *elements.values()]
            users, rest, *rows = tf.split(pooled[table], sizes)
            list_rows |= {name: self._columns.seen(each) for name, each in zip(elements, rows, strict=True)}
            linear_users, of_users = self._columns.split(tf.reshape(users, [groups, user_fields, dim]))
            linear_impressions, of_impressions = self._columns.split(
                tf.reshape(rest, [impressions, impression_fields, dim])
            )
            user_parts.append(of_users)
            impression_parts.append(of_impressions)
            if self._columns.linear:
                if norms:
                    linear_users /= tf.reshape(norms[table][:split], [groups, user_fields, 1])
                    linear_impressions /= tf.reshape(norms[table][split:], [impressions, impression_fields, 1])
                user_linear = tf.reduce_sum(linear_users, axis=1)
                linear = tf.reduce_sum(linear_impressions, axis=1)
                linear_parts.append(linear + tf.gather(user_linear, group_of_impression))
        fields = []
        for part in range(self._columns.slices):
            attended = {name: ListRows(rows[part], *lists[name]) for name, rows in list_rows.items()}
            of_user = tf.concat([of_table[part] for of_table in user_parts], 1)
            of_impression = tf.concat([of_table[part] for of_table in impression_parts], 1)
            fields.append(self.layout.pooled(of_user, of_impression, group_of_impression, attended))
        found = []
        for number, tower in enumerate(self.towers):
            seed = None if dropout_seed is None else dropout_seed + tf.constant([number * 1000, 0], dtype=tf.int32)
            found.append(outputs_of(tower, fields[number if self._columns.slices > 1 else 0], seed))
        outputs = tf.concat(found, axis=1)
        return outputs + self._linear_scale * tf.add_n(linear_parts) if linear_parts else outputs


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
