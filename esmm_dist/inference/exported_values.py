"""The values of a log as inputs of an exported model: from texts and numbers by column to the ids of a record.

It does in TensorFlow what ``esmm preprocess`` does with the columns of a flat log, and takes the ids of the Ali-CCP
form as they are (``exported_id_values``). Ids without a row in the model are left out, as preprocess leaves out those
that are not in the vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import tensorflow as tf

from esmm_dist.inference.exported_id_values import IdReader
from esmm_dist.inference.exported_ids import category_ids, cross_ids, number_ids, value_texts
from esmm_dist.inference.exported_inputs import FieldValues, RequestInputs
from esmm_dist.inference.exported_times import ExportedTimes
from esmm_dist.schema import record_format as keys
from esmm_dist.schema.feature_id import missing_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.value_inputs import IMPRESSIONS_PER_GROUP, ColumnInputs, named_inputs, time_column

Tensors = dict[str, tf.Tensor]


class ValueInputs:
    """The inputs of a schema's columns, and the ids that they become."""

    def __init__(self, schema: Schema, knows: Mapping[str, Callable[[tf.Tensor], tf.Tensor]]) -> None:
        """Name the inputs.

        Args:
            schema: schema of the log, with the edges of its numeric fields
            knows: for each table the function that tells which of ids int64 [N] have a row, bool [N]
        """
        self._schema, self._knows = schema, knows
        self.columns = named_inputs(schema)
        """The inputs of each column that a field reads, by its name: of fields, and of the time."""

    @property
    def specs(self) -> dict[str, tf.DType]:
        """The type of each input, all of them of one dimension."""
        specs: dict[str, tf.DType] = {}
        numbers = {field.name for field in self._schema.fields if field.numeric is not None}
        for name, column in self.columns.items():
            of_text = tf.string if self._schema.flat_source is not None else tf.int64
            specs[column.value] = tf.float64 if name in numbers else of_text
            if column.lengths is not None:
                specs[column.lengths] = tf.int64
            if column.weights is not None:
                specs[column.weights] = tf.float32
        return {**specs, IMPRESSIONS_PER_GROUP: tf.int64}

    def features(self, inputs: Tensors) -> Tensors:
        """Return the lists of ``schema/record_format.py``, and ``impressions_per_group``."""
        per_group = inputs[IMPRESSIONS_PER_GROUP]
        message = f"{IMPRESSIONS_PER_GROUP} has a negative number."
        with tf.control_dependencies([tf.debugging.assert_non_negative(per_group, message=message)]):
            per_group = tf.identity(per_group)
        groups, impressions = tf.size(per_group, out_type=tf.int64), tf.reduce_sum(per_group)
        group_of_impression = tf.repeat(tf.range(groups), per_group)
        reader = self._reader(RequestInputs(inputs), group_of_impression)
        user = self._lists(reader, self._schema.user_fields, groups)
        impression = self._lists(reader, self._schema.impression_fields, impressions)
        features = {
            keys.USER_IDS: user.ids,
            keys.USER_LENGTHS: user.lengths,
            keys.IMPRESSION_IDS: impression.ids,
            keys.IMPRESSION_LENGTHS: impression.lengths,
            IMPRESSIONS_PER_GROUP: per_group,
        }
        if any(field.weighted for field in self._schema.user_fields):
            features[keys.USER_WEIGHTS] = user.weights
        if any(field.weighted for field in self._schema.impression_fields):
            features[keys.IMPRESSION_WEIGHTS] = impression.weights
        return features

    def _reader(self, inputs: RequestInputs, group_of_impression: tf.Tensor) -> "_Reader | IdReader":
        if self._schema.flat_source is None:
            return IdReader(self.columns, inputs)
        return _Reader(self._schema, self.columns, inputs, group_of_impression)

    def _lists(self, reader: "_Reader | IdReader", fields: tuple[Field, ...], rows: tf.Tensor) -> "_Lists":
        """Return the ids of some fields as records have them: row after row, and within a row field after field."""
        # Few operations, not some of each field: a graph of hundreds of fields is traced in seconds, not minutes
        segments, ids = [tf.zeros([0], tf.int64)], [tf.zeros([0], tf.int64)]
        weights, wanted = [tf.zeros([0], tf.float32)], [tf.zeros([0], tf.bool)]
        for table in dict.fromkeys(field.table for field in fields):
            of_table = []
            for number, field in enumerate(fields):
                if field.table == table:
                    of_table.append(reader.values(field, rows))
                    segments.append(of_table[-1].row * len(fields) + number)
            ids.append(tf.concat([values.ids for values in of_table], 0))
            weights.extend(values.weights for values in of_table)
            wanted.append(tf.concat([values.present for values in of_table], 0) & self._knows[table](ids[-1]))
        place = tf.where(tf.concat(wanted, 0))[:, 0]
        segment = tf.gather(tf.concat(segments, 0), place)
        order = tf.argsort(segment, stable=True)
        place = tf.gather(place, order)
        return _Lists(
            ids=tf.gather(tf.concat(ids, 0), place),
            lengths=tf.math.unsorted_segment_sum(tf.ones_like(segment), segment, rows * len(fields)),
            weights=tf.gather(tf.concat(weights, 0), place),
        )


@dataclass(frozen=True, kw_only=True)
class _Lists:
    """Ids int64 [N], their weights float32 [N], and the number of ids of each (row, field), int64 [rows · F]."""

    ids: tf.Tensor
    lengths: tf.Tensor
    weights: tf.Tensor


class _Reader:
    """Makes ids of the inputs of one request."""

    def __init__(
        self,
        schema: Schema,
        columns: Mapping[str, ColumnInputs],
        inputs: RequestInputs,
        group_of_impression: tf.Tensor,
    ) -> None:
        self._schema, self._columns, self._inputs = schema, columns, inputs
        texts = [
            columns[field.name].value
            for field in schema.fields
            if field.numeric is None and not field.cross and field.of_time is None
        ]
        self._texts = inputs.changed(list(dict.fromkeys(texts)), value_texts)
        self._group_of_impression = group_of_impression
        self._one_hot: dict[str, tuple[tf.Tensor, tf.Tensor]] = {}
        self._times: ExportedTimes | None = None

    def values(self, field: Field, rows: tf.Tensor) -> FieldValues:
        """Return the ids of a field, by rows ascending; ``rows`` is the number of groups, or of impressions."""
        if field.multi_hot:
            return self._many(field, rows)
        ids, present = self._single(field, rows)
        if field.missing == "id":
            present = tf.ones_like(present)
        return FieldValues(row=tf.range(rows), ids=ids, weights=self._weights(field, present), present=present)

    def _weights(self, field: Field, present: tf.Tensor) -> tf.Tensor:
        name = self._columns[field.name].weights if field.name in self._columns else None
        return tf.ones_like(present, tf.float32) if name is None else self._inputs.weights(name, tf.size(present))

    def _single(self, field: Field, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the id of each row, ``missing_id`` where there is no value, and where there is one: [rows] each."""
        if field.name not in self._one_hot:
            read = self._cross if field.cross else self._part_of_time if field.of_time else self._column
            self._one_hot[field.name] = read(field, rows)
        return self._one_hot[field.name]

    def _column(self, field: Field, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        name = self._columns[field.name].value
        if field.numeric is not None:
            values = self._inputs.one_a_row(name, rows)
            finite = tf.reduce_all(~tf.math.is_inf(values))
            with tf.control_dependencies([tf.debugging.Assert(finite, [f"{name} has an infinite number."])]):
                values = tf.identity(values)
            return number_ids(field.numeric, field.name, values), ~tf.math.is_nan(values)
        texts = self._texts.one_a_row(name, rows)
        return category_ids(field.id_space, texts), texts != ""

    def _part_of_time(self, field: Field, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        source = self._schema.flat_source
        assert source is not None  # checked by the schema
        assert field.of_time is not None  # the caller asked
        if self._times is None:
            name = self._columns[time_column(self._schema)].value
            self._times = ExportedTimes(name, self._inputs.one_a_row(name, rows), source.time_zone)
        return self._times.ids(field.name, field.of_time)

    def _cross(self, field: Field, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = []
        for name in field.cross:
            part = self._schema.field(name)
            of_user = part.owner == "user" and field.owner != "user"
            ids, present = self._single(part, self._inputs.groups if of_user else rows)
            if of_user:
                ids, present = tf.gather(ids, self._group_of_impression), tf.gather(present, self._group_of_impression)
            found.append((ids, present))
        present = tf.reduce_all(tf.stack([each for _, each in found]), axis=0)
        return cross_ids(field.name, [ids for ids, _ in found]), present

    def _many(self, field: Field, rows: tf.Tensor) -> FieldValues:
        texts, row, weights = self._texts.lists(self._columns[field.name], rows)
        present = texts != ""
        ids = category_ids(field.id_space, texts)
        if field.missing == "id":
            counts = tf.math.unsorted_segment_sum(tf.cast(present, tf.int64), row, rows)
            every_row = tf.range(rows)
            row = tf.concat([row, every_row], 0)
            no_value = tf.fill(tf.shape(every_row), tf.constant(missing_id(field.id_space), tf.int64))
            ids = tf.concat([ids, no_value], 0)
            weights = tf.concat([weights, tf.ones_like(every_row, tf.float32)], 0)
            present = tf.concat([present, counts == 0], 0)
        return FieldValues(row=row, ids=ids, weights=weights, present=present)
