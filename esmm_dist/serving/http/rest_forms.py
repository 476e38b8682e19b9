"""TensorFlow Serving's REST interface: its requests, answers and errors, as ``json_tensor.cc`` has them.

::

    {"signature_name": "values", "inputs": {"user_id": ["u17"], ...}}            columns  ->  {"outputs": {...}}
    {"instances": [{"b64": "CgsKBW..."}, ...]}                                   rows     ->  {"predictions": [...]}

All inputs of a model have one dimension. In rows, each instance has one element of each input, so all inputs have as
many elements as there are instances. Bytes are ``{"b64": text}``. A signature with one output gives a plain list, one
with several an object, in rows one an impression.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from esmm_dist.input.batch import GroupedBatch
from esmm_dist.serving.http.answers import Answer, json_answer
from esmm_dist.serving.http.request_size import read_within
from esmm_dist.serving.http.scored_headers import scored_headers
from esmm_dist.serving.http.signatures import DEFAULT, SAMPLE_ID, Signature
from esmm_dist.serving.http.tensor_json import columns_of, columns_of_rows, shown
from esmm_dist.serving.limits import RequestLimits
from esmm_dist.serving.requests.asked_request import AskedRequest, RequestForm
from esmm_dist.serving.requests.bad_request import BadRequestError
from esmm_dist.serving.requests.input_names import CANDIDATES
from esmm_dist.serving.requests.json_text import json_of
from esmm_dist.serving.scoring.batching import Scored
from esmm_dist.serving.scoring.snapshot import Snapshot


@dataclass(frozen=True, kw_only=True)
class RestRequest:
    """A request of the REST interface."""

    signature: Signature
    rows: bool
    """Whether it has rows, and gets rows."""
    body: Any
    """What ``read_request`` takes for the form of the signature."""

    @property
    def form(self) -> RequestForm:
        """Form of the request."""
        return self.signature.form


class RestForm:
    """Reads and answers a request of the REST interface."""

    def __init__(
        self, body: bytes, limits: RequestLimits, signatures_of: Callable[[Snapshot], Mapping[str, Signature]]
    ) -> None:
        """Keep the request.

        Args:
            body: body of the request
            limits: what a request may ask
            signatures_of: returns the signatures of a version
        """
        self._body, self._limits, self._signatures_of = body, limits, signatures_of
        self._request: RestRequest | None = None

    @property
    def form(self) -> RequestForm:
        """Form of what was read."""
        assert self._request is not None  # a request is read before it is counted
        return self._request.form

    def read(self, snapshot: Snapshot) -> AskedRequest:
        """Return what is asked.

        Raises:
            BadRequestError: The request is wrong.
        """
        try:
            value = json_of(self._body)
        except ValueError as e:
            raise BadRequestError(f"JSON Parse error: {e}") from e
        self._request = rest_request(value, self._signatures_of(snapshot))
        return read_within(self._limits, self._request.form, self._request.body, snapshot)

    def write(self, scored: Scored) -> Answer:
        """Return the answer to what was read."""
        assert self._request is not None  # a request is read before it is scored
        return rest_answer(scored, self._request)


def rest_request(value: Any, signatures: Mapping[str, Signature]) -> RestRequest:
    """Return a request of the REST interface.

    Args:
        value: what its JSON says
        signatures: those of the model

    Raises:
        BadRequestError: It is wrong.
    """
    if not isinstance(value, dict):
        raise BadRequestError(f"JSON Value: {shown(value)} Is not object")
    name = value.get("signature_name", "")
    if not isinstance(name, str):
        raise BadRequestError(
            f"JSON Value: {shown(value)} not formatted correctly. 'signature_name' key must be a string value."
        )
    if (signature := signatures.get(name or DEFAULT)) is None:
        raise BadRequestError(
            f'Serving signature name: "{name[:80]}" not found in signature def. The model has {", ".join(signatures)}'
        )
    rows = "instances" in value
    if rows and "inputs" in value:
        raise BadRequestError(
            f"JSON Value: {shown(value)} Not formatted correctly expecting only one of 'inputs' or 'instances' keys "
            "to exist "
        )
    if rows:
        columns = columns_of_rows(value["instances"], signature)
    elif "inputs" in value:
        columns = columns_of(value["inputs"], signature)
    else:
        short = '. A request with "candidates" goes to /v1/score' if CANDIDATES in value else ""
        raise BadRequestError(f"Missing 'inputs' or 'instances' key{short}")
    return RestRequest(signature=signature, rows=rows, body=_body(columns, signature))


def rest_answer(scored: Scored, request: RestRequest) -> Answer:
    """Return the answer to a request of the REST interface."""
    outputs: dict[str, Any] = {}
    if SAMPLE_ID in request.signature.outputs:
        outputs[SAMPLE_ID] = _sample_ids(scored.asked.batch)
    outputs |= scored.scores
    value: Any
    if request.rows:
        lists = {name: column if isinstance(column, list) else column.tolist() for name, column in _as_f32(outputs)}
        value = {"predictions": _rows(lists)}
    else:
        value = {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}
    return json_answer(value, headers=scored_headers(scored))


def status_of(version: int) -> dict[str, Any]:
    """Return the JSON of a ``GetModelStatusResponse`` for a version that answers."""
    status = {"error_code": "OK", "error_message": ""}
    return {"model_version_status": [{"version": str(version), "state": "AVAILABLE", "status": status}]}


def metadata_of(name: str, version: int, signatures: Mapping[str, Signature]) -> dict[str, Any]:
    """Return the JSON of a ``GetModelMetadataResponse``."""
    described = {each.name: each.described() for each in signatures.values()}
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": described}},
    }


def _body(columns: dict[str, list[Any]], signature: Signature) -> Any:
    """Return what ``read_request`` takes: bytes for records, texts for the columns of a log."""
    if signature.form == "records":
        return [each.encode() if isinstance(each, str) else each for each in columns["examples"]]
    for name, values in columns.items():
        if signature.inputs[name] == "DT_STRING" and any(type(value) is bytes for value in values):
            columns[name] = [_text_of(value, name, number) for number, value in enumerate(values)]
    return columns


def _text_of(value: str | bytes, name: str, number: int) -> str:
    try:
        return value if isinstance(value, str) else value.decode()
    except UnicodeDecodeError as e:
        raise BadRequestError(f"the bytes of input {name}, element {number} are no UTF-8 text: {e.reason}") from e


def _rows(columns: Mapping[str, list[Any]]) -> list[Any]:
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _as_f32(outputs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the outputs with each float32 as the shortest float64 that is written as it is."""
    return [
        (name, _shortest(column) if isinstance(column, np.ndarray) and column.dtype == np.float32 else column)
        for name, column in outputs.items()
    ]


def _shortest(column: Any) -> list[float]:
    found: list[float] = orjson.loads(orjson.dumps(column, option=orjson.OPT_SERIALIZE_NUMPY))
    return found


def _sample_ids(batch: GroupedBatch) -> Any:
    """Return what names the impressions of records: texts where the log has texts, else numbers."""
    if batch.sample_names is None:
        return batch.sample_ids
    return [name.decode("utf-8", errors="replace") for name in batch.sample_names.tolist()]
