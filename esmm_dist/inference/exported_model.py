"""A trained model as plain TensorFlow: what a SavedModel holds, from serialized records to probabilities.

It computes what ``esmm predict`` does, step by step in the same order and precision, without TFRA, Horovod, Keras or a
line of this project: whoever loads it needs TensorFlow only.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import tensorflow as tf

from esmm_dist.inference.exported_lists import Ragged, element_lists
from esmm_dist.inference.exported_pooling import pool, weight_norms
from esmm_dist.inference.exported_table import ExportedTable
from esmm_dist.inference.exported_towers import ExportedTowers
from esmm_dist.inference.exported_values import ValueInputs
from esmm_dist.input.record_parsing import parse_spec
from esmm_dist.model.pooled_fields import BesidePooled, ListElements
from esmm_dist.schema import record_format as keys
from esmm_dist.schema.fields import COMBINER_POWER, Field, Schema

Tensors = dict[str, tf.Tensor]


class ExportedModel(tf.Module):
    """Probabilities of impressions; ``signatures`` are the functions that are called from outside."""

    def __init__(self, schema: Schema, towers: ExportedTowers, tables: Mapping[str, ExportedTable]) -> None:
        """Take over the parts.

        Args:
            schema: schema of the data that the model was trained with
            towers: its networks
            tables: rows of each table of the schema
        """
        super().__init__()
        self._schema = schema
        self._fields = {"user": schema.user_fields, "impression": schema.impression_fields}
        self.towers = towers
        self.tables = dict(tables)
        knows = {name: table.knows for name, table in tables.items()}
        self.value_inputs = ValueInputs(schema, knows)
        """The columns of the log as inputs."""

    def signatures(self) -> dict[str, Callable[..., Any]]:
        """Return the functions of the SavedModel by name.

        ``serving_default`` takes ``examples``, string [G]: records as ``esmm preprocess`` writes them. ``features``
        takes the lists of ``schema/record_format.py`` as tensors, those of all users or impressions one after the
        other, and ``impressions_per_group`` int64 [G]. ``values`` takes the columns of the log
        (``exported_values.ValueInputs``). All ignore labels.
        """
        spec = {
            keys.USER_IDS: tf.int64,
            keys.USER_LENGTHS: tf.int64,
            keys.IMPRESSION_IDS: tf.int64,
            keys.IMPRESSION_LENGTHS: tf.int64,
            "impressions_per_group": tf.int64,
        }
        for key, fields in ((keys.USER_WEIGHTS, "user"), (keys.IMPRESSION_WEIGHTS, "impression")):
            if _weighted(self._fields[fields]):
                spec[key] = tf.float32
        specs = [tf.TensorSpec([None], dtype, name=name) for name, dtype in spec.items()]

        def of_features(*tensors: tf.Tensor) -> Tensors:
            return self.probabilities(dict(zip(spec, tensors, strict=True)))

        of_records = tf.function(
            self._of_records, input_signature=[tf.TensorSpec([None], tf.string, name="examples")], autograph=False
        )
        signatures = {
            "serving_default": of_records,
            "features": tf.function(of_features, input_signature=specs, autograph=False),
        }
        return signatures | {"values": self._of_values(self.value_inputs)}

    def _of_values(self, inputs: ValueInputs) -> Callable[..., Any]:
        spec = inputs.specs
        specs = [tf.TensorSpec([None], dtype, name=name) for name, dtype in spec.items()]

        def of_values(*tensors: tf.Tensor) -> Tensors:
            return self.probabilities(inputs.features(dict(zip(spec, tensors, strict=True))))

        return cast(Callable[..., Any], tf.function(of_values, input_signature=specs, autograph=False))

    def _of_records(self, examples: tf.Tensor) -> Tensors:
        spec = parse_spec(self._schema, with_names=self._schema.has_text_sample_ids)
        del spec[keys.LABELS]
        parsed = tf.io.parse_example(examples, spec)
        features = {key: ragged.flat_values for key, ragged in parsed.items()}
        sample_ids = features.pop(keys.SAMPLE_IDS)
        names = features.pop(keys.SAMPLE_NAMES, None)
        features["impressions_per_group"] = parsed[keys.SAMPLE_IDS].row_lengths()
        if names is not None:  # without the columns that are kept behind them
            names = tf.strings.regex_replace(names, r"(?s)\x00.*", "")
        return {"sample_id": sample_ids if names is None else names, **self.probabilities(features)}

    def probabilities(self, features: Tensors) -> Tensors:
        """Return the columns of predictions, float32 [B] each, of the inputs of the signature ``features``."""
        per_group = features["impressions_per_group"]
        groups, impressions = tf.size(per_group, out_type=tf.int64), tf.reduce_sum(per_group)
        with tf.control_dependencies(self._checks(features, groups, impressions)):
            features = {name: tf.identity(tensor) for name, tensor in features.items()}
        pooled, beside = self._pooled(features, groups, impressions)
        group_of_impression = tf.repeat(tf.range(groups), features["impressions_per_group"])
        return self.towers.probabilities(pooled, beside, group_of_impression, groups)

    def _checks(self, features: Tensors, groups: tf.Tensor, impressions: tf.Tensor) -> list[tf.Operation]:
        """Return assertions that fail on records of another schema, whose scores would be nonsense."""
        checks = []
        for part, of in (("user", groups), ("impression", impressions)):
            ids, lengths = features[f"{part}_ids"], features[f"{part}_lengths"]
            message = f"These are no records of the schema {self._schema.name}: its {part} fields do not fit."
            number = len(self._fields[part])
            equal = [(tf.size(lengths, out_type=tf.int64), of * number)]
            equal.append((tf.reduce_sum(lengths), tf.size(ids, out_type=tf.int64)))
            if _weighted(self._fields[part]):
                equal.append((tf.size(features[f"{part}_weights"]), tf.size(ids)))
            checks += [tf.debugging.assert_equal(a, b, message=message) for a, b in equal]
            checks.append(tf.debugging.assert_non_negative(lengths, message=message))
        return checks

    def _pooled(self, features: Tensors, groups: tf.Tensor, impressions: tf.Tensor) -> tuple[Tensors, BesidePooled]:
        """Pool every field as ``embedding.pooling`` does; segments are numbered as in ``TableLookup``.

        Returns:
            What the model takes as ``pooled`` and ``beside``.
        """
        parts = [("user", groups), ("impression", impressions)]
        lengths = tf.concat([features[f"{part}_lengths"] for part, _ in parts], 0)
        ids = tf.concat([features[f"{part}_ids"] for part, _ in parts], 0)
        weights = tf.concat(
            [features.get(f"{part}_weights", tf.ones_like(features[f"{part}_ids"], tf.float32)) for part, _ in parts], 0
        )

        def per_segment(value_of: Callable[[Field], int]) -> tf.Tensor:
            values = [[value_of(field) for field in self._fields[part]] for part, _ in parts]
            of_parts = [tf.constant(of_part, tf.int64) for of_part in values]
            return tf.concat([tf.tile(v, [of]) for v, (_, of) in zip(of_parts, parts, strict=True)], 0)

        segments = tf.repeat(tf.range(tf.size(lengths, out_type=tf.int64)), lengths)
        if any(field.max_ids is not None for field in self._schema.fields):
            place = tf.range(tf.size(ids, out_type=tf.int64)) - tf.gather(tf.cumsum(lengths, exclusive=True), segments)
            keep = place < tf.gather(per_segment(lambda field: field.max_ids or tf.int64.max), segments)
            kept = tf.where(keep)[:, 0]
            segments, ids, weights = (tf.gather(each, kept) for each in (segments, ids, weights))
        if any(field.combiner != "sum" for field in self._schema.fields):
            power = per_segment(lambda field: COMBINER_POWER[field.combiner])
            weights = _normalised(weights, segments, power)
        tables = list(self._schema.tables)
        table_of = per_segment(lambda field: tables.index(field.table) if field in self.towers.seen_fields else -1)
        lists = element_lists(self._schema, self.towers.lists, Ragged(segments, ids, weights), groups)
        pooled, norms = {}, {}
        for number, table in enumerate(tables):
            of_table = table_of == number
            renumbered = tf.cumsum(tf.cast(of_table, tf.int64)) - 1
            chosen = tf.where(tf.gather(of_table, segments))[:, 0]
            own_segments = tf.gather(renumbered, tf.gather(segments, chosen))
            unique, place = tf.unique(tf.gather(ids, chosen), out_idx=tf.int64)
            matrix = (tf.stack([own_segments, place], axis=1), tf.gather(weights, chosen))
            pooled[table] = pool(self.tables[table].lookup(unique), *matrix, tf.math.count_nonzero(of_table))
            if self.towers.uses_norms:
                norms[table] = weight_norms(*matrix, tf.size(unique), tf.math.count_nonzero(of_table))
            rows = [self.tables[table].lookup(each.ids) for each in lists.values() if each.table == table]
            pooled[table] = tf.concat([pooled[table], *rows], axis=0) if rows else pooled[table]
        elements = {name: ListElements(each.lengths, each.weights) for name, each in lists.items()}
        return pooled, BesidePooled(norms, elements)


def _weighted(fields: tuple[Field, ...]) -> bool:
    return any(field.weighted for field in fields)


def _normalised(weights: tf.Tensor, segments: tf.Tensor, power: tf.Tensor) -> tf.Tensor:
    """Divide by Σ w (mean) or sqrt(Σ w²) (sqrtn) of the segment, in float64, as ``LookupPlan`` does."""
    wide = tf.cast(weights, tf.float64)
    of_id = tf.gather(power, segments)
    # Not segment_sum, which adds in packets: this one adds in order, as NumPy's bincount
    sums = tf.math.unsorted_segment_sum(tf.where(of_id == 2, wide * wide, wide), segments, tf.size(power))
    norms = tf.where(power == 2, tf.sqrt(sums), tf.where(power == 1, sums, tf.ones_like(sums)))
    norms = tf.where(norms == 0, tf.ones_like(norms), norms)
    return tf.cast(wide / tf.gather(norms, segments), tf.float32)
