"""``assets.extra/golden.json``: requests with their answers, which any client and any server can be checked against.

The client of ``esmm_dist/serving/client`` reads it: each request has a ``name``, a ``form`` (``short``, of
``POST /v1/score``; else ``values``, ``features`` or ``records``, of TensorFlow Serving's REST predict), the ``request``
and the ``answer``.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from esmm_dist.arrays import F32, Bools, Ids
from esmm_dist.checkpoint.sorted_rows import SortedRows
from esmm_dist.embedding.start_values import StartValues
from esmm_dist.inference.export_assets.examples import ExampleRequest
from esmm_dist.inference.export_assets.request_columns import has_missing_numbers, records_of, value_columns
from esmm_dist.inference.exported_model import ExportedModel
from esmm_dist.inference.exported_table import ExportedTable
from esmm_dist.inference.exported_towers import ExportedTowers
from esmm_dist.inference.exported_values import ValueInputs
from esmm_dist.schema.fields import Schema

Json = dict[str, Any]
Tensors = dict[str, tf.Tensor]
Find = Callable[[Ids], tuple[F32, Bools]]
"""Returns the rows of ids int64 [U], strictly ascending: float32 [U, D], and which of them have one: bool [U]."""

TOLERANCE = 1e-6
"""Relative: a matrix product may add in another order for another number of rows."""

_NOTES = (
    "Each request is checked by itself; probabilities may differ by the tolerance, relative to their size.",
    "form short: POST /v1/score of esmm serve. Others: POST /v1/models/NAME:predict of esmm serve or of TensorFlow "
    "Serving, with the request as the body; records are base64 of what esmm preprocess writes.",
    "Of a request with a missing number there is no form values: it is NaN there, for which JSON has no word.",
    "Ids without a row are left out of values and of the short form; features and records read their start value.",
)


@dataclass(frozen=True, kw_only=True)
class GoldenModel:
    """What answers: the model that is exported, by its rows on the disk."""

    schema: Schema
    towers: ExportedTowers
    start: Mapping[str, StartValues]
    """Start values of each table."""
    seed: int
    find: Mapping[str, Find]
    """Finds rows of each table."""

    def for_ids(self, ids: Ids) -> ExportedModel:
        """Return the exported model with the rows of these ids alone, int64 [N]."""
        wanted, tables = np.unique(ids), {}
        for table, find in self.find.items():
            rows, has_row = find(wanted)
            known = SortedRows(ids=wanted[has_row], rows=rows[has_row])
            tables[table] = ExportedTable(known, self.start[table], seed=self.seed, name=table)
        return ExportedModel(self.schema, self.towers, tables)


@dataclass(frozen=True, kw_only=True)
class AnsweredRequest:
    """One request in all forms, with its answer."""

    example: ExampleRequest
    values: dict[str, list[Any]]
    """Inputs of ``values``."""
    features: Tensors
    """Inputs of ``features``: ids that the model knows."""
    raw_features: Tensors
    """The same with the ids that it does not."""
    records: list[bytes]
    answer: dict[str, F32]
    """Columns of predictions, float32 [B]."""
    raw_answer: dict[str, F32]
    """The same for ``raw_features``."""


def answered(model: GoldenModel, examples: Sequence[ExampleRequest]) -> list[AnsweredRequest]:
    """Answer requests.

    Args:
        model: the model
        examples: the requests
    """
    everything = ValueInputs(model.schema, {table: lambda ids: tf.ones_like(ids, tf.bool) for table in model.find})
    given = [value_columns(model.schema, example.users) for example in examples]
    tensors = [
        {name: tf.constant(columns[name], dtype) for name, dtype in everything.specs.items()} for columns in given
    ]
    raw = [everything.features(each) for each in tensors]
    ids = [each[key].numpy() for each in raw for key in ("user_ids", "impression_ids")]
    exported = model.for_ids(np.concatenate([np.empty(0, np.int64), *ids]))
    found = []
    for example, columns, tensor, raw_features in zip(examples, given, tensors, raw, strict=True):
        features = exported.value_inputs.features(tensor)
        answer = exported.probabilities(features)
        raw_answer = exported.probabilities(raw_features)
        found.append(
            AnsweredRequest(
                example=example,
                values=columns,
                features=features,
                raw_features=raw_features,
                records=records_of(model.schema, {name: each.numpy() for name, each in features.items()}),
                answer={name: each.numpy() for name, each in answer.items()},
                raw_answer={name: each.numpy() for name, each in raw_answer.items()},
            )
        )
    return found


def golden(schema: Schema, requests: Sequence[AnsweredRequest], about: Mapping[str, Any]) -> Json:
    """Return the content of ``golden.json``.

    Args:
        schema: schema of the model
        requests: the requests
        about: members to begin with
    """
    listed = [each for request in requests for each in _forms(schema, request)]
    return {**about, "tolerance": TOLERANCE, "notes": list(_NOTES), "requests": listed}


def _forms(schema: Schema, request: AnsweredRequest) -> Iterator[Json]:
    name, answer = request.example.name, _lists(request.answer)
    per_user = [len(user["candidates"]) for user in request.example.users]
    scores: Any = answer
    if len(per_user) > 1:
        ends = np.cumsum(per_user).tolist()
        scores = [
            {column: values[end - own : end] for column, values in answer.items()}
            for own, end in zip(per_user, ends, strict=True)
        ]
    yield {"name": name, "form": "short", "request": request.example.short, "answer": {"scores": scores}}
    if not has_missing_numbers(request.values):
        yield _predict(name, "values", "values", request.values, answer)
    yield _predict(name, "features", "features", _lists(request.features), answer)
    if any(len(raw) != len(known) for raw, known in _id_pairs(request)):
        raw_answer = _lists(request.raw_answer)
        yield _predict(f"{name}, by their ids", "features", "features", _lists(request.raw_features), raw_answer)
    records = [{"b64": base64.b64encode(record).decode()} for record in request.records]
    numbers = range(1, sum(per_user) + 1)
    sample_ids = [f"impression {number}" if schema.has_text_sample_ids else number for number in numbers]
    outputs = {"sample_id": sample_ids, **answer}
    yield _predict(name, "records", "serving_default", {"examples": records}, outputs)


def _predict(name: str, form: str, signature: str, inputs: Json, outputs: Json) -> Json:
    request = {"signature_name": signature, "inputs": inputs}
    return {"name": name, "form": form, "request": request, "answer": {"outputs": outputs}}


def _id_pairs(request: AnsweredRequest) -> list[tuple[tf.Tensor, tf.Tensor]]:
    return [(request.raw_features[key], request.features[key]) for key in ("user_ids", "impression_ids")]


def _lists(columns: Mapping[str, Any]) -> Json:
    return {name: np.asarray(values).tolist() for name, values in columns.items()}
