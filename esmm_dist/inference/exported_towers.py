"""The networks of an exported model: from pooled rows to probabilities, in plain TensorFlow.

An exported model has them in it, and ``served/towers`` of a served model holds them alone: rows are then found and
pooled by whoever serves, as ``embedding.lookup`` and ``embedding.pooling`` do it.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, cast

import tensorflow as tf

from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.inference.exported_probabilities import exported_probabilities
from esmm_dist.inference.used_fields import UsedFields
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.pooled_fields import BesidePooled, ListElements
from esmm_dist.schema.fields import Field, Schema

Tensors = dict[str, tf.Tensor]

TOWERS_SIGNATURE = "towers"


class ExportedTowers(tf.Module):
    """Probabilities of pooled rows; ``signatures`` are what is called from outside."""

    def __init__(
        self, schema: Schema, model: Esmm, transform: LogitTransform, *, used: Collection[str] | None = None
    ) -> None:
        """Take over the weights.

        Args:
            schema: schema of the data that the model was trained with
            model: model with its weights
            transform: what probabilities are computed from, instead of the model's logits
            used: names of the fields whose values count; None: all
        """
        super().__init__()
        self._schema, self._transform = schema, transform
        # Behind a function: what is saved is the variables and not the Keras object, which would want Keras to load
        self._call_model: Callable[..., tf.Tensor] = partial(_call, model)
        self.dense_variables = [variable.value for variable in model.weights]
        self._dims = model.dim_by_table
        self._lists = tuple(model.layout.attended)
        self._seen_fields: tuple[Field, ...] = tuple(model.seen_fields)
        self._uses_norms = model.uses_norms
        self._used = None
        if used is not None:
            self._used = UsedFields(self._seen_fields, schema.tables, self._lists, used)

    @property
    def transform(self) -> LogitTransform:
        """What probabilities are computed from, instead of the model's logits."""
        return self._transform

    @property
    def lists(self) -> tuple[str, ...]:
        """Names of the user fields that are taken element by element, as ``LookupPlan`` takes them."""
        return self._lists

    @property
    def seen_fields(self) -> tuple[Field, ...]:
        """The fields that the model sees."""
        return self._seen_fields

    @property
    def uses_norms(self) -> bool:
        """Whether what the linear term divides by is taken too."""
        return self._uses_norms

    def probabilities(
        self, pooled: Tensors, beside: BesidePooled, group_of_impression: tf.Tensor, groups: tf.Tensor
    ) -> Tensors:
        """Return the columns of predictions, float32 [B] each; the arguments are those of ``Esmm.call``."""
        if self._used is not None:
            impressions = tf.size(group_of_impression, out_type=tf.int64)
            pooled, beside = self._used.only(pooled, beside, impressions, groups)
        logits = self._call_model(pooled, group_of_impression, groups, beside=beside)
        return exported_probabilities(logits, self._schema.label_tree, self._transform)

    def signatures(self) -> dict[str, Callable[..., Any]]:
        """Return the function of ``served/towers``, by its name ``towers``.

        It takes, where i is the place of a table in ``Schema.tables`` and j that of a list in ``lists``::

            pooled_i              float32 [S, D]  G·F_u user segments, B·F_i others, elements of lists: TableLookup
            norms_i               float32 [G·F_u + B·F_i, 1]  embedding.pooling.weight_norms; only if uses_norms
            list_lengths_j        int64 [G]
            list_weights_j        float32 [n]  with the combiner in them
            group_of_impression   int64 [B]
            num_groups            int64 []

        and gives the columns of predictions, float32 [B] each.
        """
        specs = self._specs()

        def towers(*tensors: tf.Tensor) -> Tensors:
            given = dict(zip(specs, tensors, strict=True))
            tables = list(self._dims)
            norms = {table: given[f"norms_{i}"] for i, table in enumerate(tables)} if self._uses_norms else {}
            lists = {
                name: ListElements(given[f"list_lengths_{j}"], given[f"list_weights_{j}"])
                for j, name in enumerate(self._lists)
            }
            pooled = {table: given[f"pooled_{i}"] for i, table in enumerate(tables)}
            beside = BesidePooled(norms, lists)
            return self.probabilities(pooled, beside, given["group_of_impression"], given["num_groups"])

        function = tf.function(towers, input_signature=list(specs.values()), autograph=False)
        return {TOWERS_SIGNATURE: cast(Callable[..., Any], function)}

    def _specs(self) -> dict[str, tf.TensorSpec]:
        shapes: dict[str, tuple[list[int | None], tf.DType]] = {}
        for i, dim in enumerate(self._dims.values()):
            shapes[f"pooled_{i}"] = ([None, dim], tf.float32)
            if self._uses_norms:
                shapes[f"norms_{i}"] = ([None, 1], tf.float32)
        for j, _ in enumerate(self._lists):
            shapes[f"list_lengths_{j}"] = ([None], tf.int64)
            shapes[f"list_weights_{j}"] = ([None], tf.float32)
        shapes["group_of_impression"] = ([None], tf.int64)
        shapes["num_groups"] = ([], tf.int64)
        return {name: tf.TensorSpec(shape, dtype, name=name) for name, (shape, dtype) in shapes.items()}


def _call(model: Any, *inputs: Any, **named: Any) -> Any:
    """Return the logits of the conditional probabilities, float32 [B, K]."""
    return model.objective.conditional_logits(model(*inputs, **named))
