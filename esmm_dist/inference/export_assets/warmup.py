"""``assets.extra/tf_serving_warmup_requests``: what TensorFlow Serving runs before a version takes requests.

A TFRecord of ``tensorflow_serving.apis.PredictionLog``, at least one for each signature, so that no user waits for
TensorFlow to prepare one.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from esmm_dist.inference.export_assets.golden import AnsweredRequest
from esmm_dist.inference.exported_values import ValueInputs
from esmm_dist.process.quiet import import_tensorflow

WARMUP_FILE = "tf_serving_warmup_requests"

_MODEL_NAME = "esmm"
_RUNS = 5
"""Requests of each signature: one run prepares, some more let memory settle."""


def write_warmup(path: Path, requests: Sequence[AnsweredRequest], inputs: ValueInputs) -> None:
    """Write the requests of a SavedModel.

    Args:
        path: file to write
        requests: requests in all forms; the first ones are taken
        inputs: inputs of ``values``

    Raises:
        OSError: The file cannot be written.
    """
    tf = import_tensorflow()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in [*requests, *requests, *requests][:_RUNS]:
            values = {name: tf.constant(request.values[name], dtype) for name, dtype in inputs.specs.items()}
            for signature, tensors in (
                ("serving_default", {"examples": tf.constant(request.records)}),
                ("features", request.features),
                ("values", values),
            ):
                writer.write(_log(signature, tensors))


def _log(signature: str, tensors: dict[str, Any]) -> bytes:
    tf = import_tensorflow()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports are of another age
        from tensorflow_serving.apis import prediction_log_pb2
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = _MODEL_NAME, signature
    for name, tensor in tensors.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(tensor))
    return bytes(log.SerializeToString())
