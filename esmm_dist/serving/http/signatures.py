"""The signatures of a served model by TensorFlow Serving's names: those of the SavedModel that it was exported with.

========================  ============  ==============================================================================
signature                 form          inputs, all of one dimension
========================  ============  ==============================================================================
``serving_default``       ``records``   ``examples``, string [G]: serialized records
``features``              ``features``  the lists of ``schema/record_format.py``, and ``impressions_per_group``
``values``                ``values``    the columns of the log (``schema/value_inputs.py``)
========================  ============  ==============================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from esmm_dist.schema import record_format as keys
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.value_inputs import IMPRESSIONS_PER_GROUP, named_inputs
from esmm_dist.serving.requests.asked_request import RequestForm

DataType = Literal["DT_STRING", "DT_INT64", "DT_FLOAT", "DT_DOUBLE"]

DEFAULT = "serving_default"
SAMPLE_ID = "sample_id"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a function of the model takes and returns."""

    name: str
    form: RequestForm
    inputs: Mapping[str, DataType]
    outputs: Mapping[str, DataType]

    def described(self) -> dict[str, Any]:
        """Return it as the JSON of a ``SignatureDef``."""
        return {
            "inputs": {name: _tensor(f"{self.name}_{name}:0", kind) for name, kind in self.inputs.items()},
            "outputs": {
                name: _tensor(f"StatefulPartitionedCall:{number}", kind)
                for number, (name, kind) in enumerate(self.outputs.items())
            },
            "method_name": "tensorflow/serving/predict",
            "defaults": {},
        }


def signatures_of(schema: Schema) -> dict[str, Signature]:
    """Return the signatures of a model by name."""
    scores: dict[str, DataType] = dict.fromkeys(schema.label_tree.columns, "DT_FLOAT")
    sample_id: dict[str, DataType] = {SAMPLE_ID: "DT_STRING" if schema.has_text_sample_ids else "DT_INT64"}
    found = [
        Signature(name=DEFAULT, form="records", inputs={"examples": "DT_STRING"}, outputs=sample_id | scores),
        Signature(name="features", form="features", inputs=_lists_of_records(schema), outputs=scores),
        Signature(name="values", form="values", inputs=_columns_of_log(schema), outputs=scores),
    ]
    return {each.name: each for each in found}


def _lists_of_records(schema: Schema) -> dict[str, DataType]:
    inputs: dict[str, DataType] = {
        keys.USER_IDS: "DT_INT64",
        keys.USER_LENGTHS: "DT_INT64",
        keys.IMPRESSION_IDS: "DT_INT64",
        keys.IMPRESSION_LENGTHS: "DT_INT64",
        IMPRESSIONS_PER_GROUP: "DT_INT64",
    }
    for key, fields in ((keys.USER_WEIGHTS, schema.user_fields), (keys.IMPRESSION_WEIGHTS, schema.impression_fields)):
        if any(field.weighted for field in fields):
            inputs[key] = "DT_FLOAT"
    return inputs


def _columns_of_log(schema: Schema) -> dict[str, DataType]:
    inputs: dict[str, DataType] = {}
    of_text: DataType = "DT_STRING" if schema.flat_source is not None else "DT_INT64"
    numbers = {field.name for field in schema.fields if field.numeric is not None}
    for name, column in named_inputs(schema).items():
        inputs[column.value] = "DT_DOUBLE" if name in numbers else of_text
        if column.lengths is not None:
            inputs[column.lengths] = "DT_INT64"
        if column.weights is not None:
            inputs[column.weights] = "DT_FLOAT"
    return inputs | {IMPRESSIONS_PER_GROUP: "DT_INT64"}


def _tensor(name: str, kind: DataType) -> dict[str, Any]:
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    return {"dtype": kind, "tensor_shape": shape, "name": name}
