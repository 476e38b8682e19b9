"""TensorFlow Serving's REST forms over sockets, with a real model: its answers are those of the SavedModel."""

import base64
import json
from typing import Any

import pytest
import tensorflow as tf

from tests.support.flat_model import FEATURES, VALUES, known

PREDICT = "/v1/models/esmm:predict"
SCORES = ["pctr", "pcvr", "pctcvr"]

DTYPES = {"user_id": tf.string, "tags": tf.string, "item": tf.string, "age": tf.float64, "price": tf.float64}
DTYPES |= {"tags_weights": tf.float32, "user_weights": tf.float32, "examples": tf.string}


def record(impressions: int = 2) -> bytes:
    numbers = {
        "user_ids": FEATURES["user_ids"],
        "user_lengths": FEATURES["user_lengths"],
        "impression_ids": [known("item", f"i{n}") for n in range(impressions)],
        "impression_lengths": [1, 0, 0] * impressions,
        "sample_ids": [71 + n for n in range(impressions)],
    }
    features = {name: tf.train.Feature(int64_list=tf.train.Int64List(value=values)) for name, values in numbers.items()}
    features["user_weights"] = tf.train.Feature(float_list=tf.train.FloatList(value=FEATURES["user_weights"]))
    example: bytes = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    return example


def of_tensorflow(model, signature: str, inputs: dict[str, Any]) -> dict[str, list[Any]]:
    names = [spec.name for spec in model.functions[signature].input_signature]
    tensors = {name: tf.constant(inputs[name], DTYPES.get(name, tf.int64)) for name in names}
    answers: dict[str, list[Any]] = model.answers(signature, **tensors)
    return answers


def rows_of(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def assert_equal(found: dict[str, list[Any]], expected: dict[str, list[Any]]) -> None:
    assert sorted(found) == sorted(expected)
    for name, column in expected.items():
        assert found[name] == pytest.approx(column, rel=1e-6)


@pytest.mark.parametrize(
    ("signature", "inputs"),
    [("values", VALUES), ("features", FEATURES), ("serving_default", {"examples": [record(), record(1)]})],
)
def test_columns_are_answered_as_the_saved_model_answers(server, model, signature: str, inputs: dict[str, Any]):
    sent = {
        name: [{"b64": base64.b64encode(each).decode()} if isinstance(each, bytes) else each for each in values]
        for name, values in inputs.items()
    }
    reply = server.ask("POST", PREDICT, {"signature_name": signature, "inputs": sent})
    assert reply.status == 200, reply.body
    assert list(reply.json) == ["outputs"]
    assert_equal(reply.json["outputs"], of_tensorflow(model, signature, inputs))
    assert reply.headers["X-Esmm-Version"] == "3"


def test_rows_of_records_are_answered_a_row_an_impression(server, model):
    expected = of_tensorflow(model, "serving_default", {"examples": [record(2), record(1)]})
    texts = [base64.b64encode(each).decode() for each in (record(2), record(1))]
    for instances in (
        [{"b64": text} for text in texts],
        [{"examples": {"b64": text}} for text in texts],
        [{"b64": text.rstrip("=").replace("+", "-").replace("/", "_")} for text in texts],
    ):
        reply = server.ask("POST", PREDICT, {"instances": instances})
        assert reply.status == 200, reply.body
        assert [row["sample_id"] for row in reply.json["predictions"]] == [71, 72, 71]
        for row, of_row in zip(reply.json["predictions"], rows_of(expected), strict=True):
            assert row == pytest.approx(of_row, rel=1e-6)


def test_one_input_alone_needs_no_name(server):
    named = {"inputs": {"examples": [{"b64": base64.b64encode(record()).decode()}]}}
    plain = {"inputs": [{"b64": base64.b64encode(record()).decode()}], "signature_name": ""}
    assert server.ask("POST", PREDICT, named).body == server.ask("POST", PREDICT, plain).body


def test_rows_of_values_have_one_impression_of_one_user_each(server, model):
    rows = [
        {"user_id": f"u{n}", "age": 20, "tags": "t1", "tags_lengths": 1, "tags_weights": 0.5}
        | {"item": f"i{n}", "price": 3.5, "impressions_per_group": 1}
        for n in range(3)
    ]
    reply = server.ask("POST", PREDICT, {"signature_name": "values", "instances": rows})
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    expected = rows_of(of_tensorflow(model, "values", columns))
    assert reply.status == 200, reply.body
    for row, of_row in zip(reply.json["predictions"], expected, strict=True):
        assert row == pytest.approx(of_row, rel=1e-6)


def test_numbers_that_are_not_a_number_are_missing_values(server, model):
    inputs = {**VALUES, "price": [float("nan"), 30.0, float("nan")]}
    reply = server.ask("POST", PREDICT, {"signature_name": "values", "inputs": inputs})
    assert reply.status == 200, reply.body
    assert_equal(reply.json["outputs"], of_tensorflow(model, "values", inputs))
    inputs["price"][0] = float("inf")
    reply = server.ask("POST", PREDICT, {"signature_name": "values", "inputs": inputs})
    assert (reply.status, "price" in reply.error) == (400, True)


def test_texts_may_be_bytes(server):
    as_bytes = {**VALUES, "item": [{"b64": base64.b64encode(each.encode()).decode()} for each in VALUES["item"]]}
    replies = [server.ask("POST", PREDICT, {"signature_name": "values", "inputs": each}) for each in (VALUES, as_bytes)]
    assert replies[0].body == replies[1].body
    as_bytes["item"][1] = {"b64": base64.b64encode(b"\xff").decode()}
    reply = server.ask("POST", PREDICT, {"signature_name": "values", "inputs": as_bytes})
    assert (reply.status, reply.error[:53]) == (400, "the bytes of input item, element 1 are no UTF-8 text:")


@pytest.mark.parametrize("path", ["/v1/models/esmm/versions/3:predict", "/V1/models/esmm:Predict"])
def test_a_version_can_be_named(server, path: str):
    assert server.ask("POST", path, {"signature_name": "values", "inputs": VALUES}).status == 200


def test_scores_are_written_with_the_digits_of_a_float32(server):
    body = {"signature_name": "values", "inputs": VALUES}
    columns = server.ask("POST", PREDICT, body).json["outputs"]["pctr"]
    rows = server.ask("POST", PREDICT, {"instances": [{"b64": base64.b64encode(record()).decode()}]}).json
    for score in [*columns, *(row["pctr"] for row in rows["predictions"])]:
        assert len(repr(score)) <= 12


def test_the_status_is_that_of_tensorflow_serving(server):
    for path in ("/v1/models/esmm", "/v1/models/esmm/versions/3"):
        assert server.ask("GET", path).json == {
            "model_version_status": [
                {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
            ]
        }


def test_the_metadata_are_those_of_the_saved_model(server, model):
    metadata = server.ask("GET", "/v1/models/esmm/metadata").json
    assert metadata["model_spec"] == {"name": "esmm", "signature_name": "", "version": "3"}
    found = metadata["metadata"]["signature_def"]["signature_def"]
    names = {tf.string: "DT_STRING", tf.int64: "DT_INT64", tf.float32: "DT_FLOAT", tf.float64: "DT_DOUBLE"}
    expected = model.functions
    assert sorted(found) == sorted(expected)
    for name, function in expected.items():
        inputs = {spec.name: names[spec.dtype] for spec in function.input_signature}
        outputs = {
            key: names[tensor.dtype] for key, tensor in function.get_concrete_function().structured_outputs.items()
        }
        assert {key: each["dtype"] for key, each in found[name]["inputs"].items()} == inputs
        assert {key: each["dtype"] for key, each in found[name]["outputs"].items()} == outputs
        assert found[name]["method_name"] == "tensorflow/serving/predict"
    shape = found["values"]["inputs"]["price"]["tensor_shape"]
    assert shape == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}


def of_values(**changes: Any) -> dict[str, Any]:
    inputs = {name: value for name, value in {**VALUES, **changes}.items() if value is not None}
    return {"signature_name": "values", "inputs": inputs}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        # The texts of json_tensor.cc, with the place behind them where it names none
        (b"{", "JSON Parse error: "),
        (b"", "JSON Parse error: the body is empty"),
        ([], "JSON Value: [] Is not object"),
        ({}, "Missing 'inputs' or 'instances' key"),
        (
            {"candidates": [{}]},
            "Missing 'inputs' or 'instances' key. A request with \"candidates\" goes to /v1/score",
        ),
        ({"inputs": [], "instances": []}, "JSON Value: {"),
        ({"signature_name": 7, "inputs": []}, 'JSON Value: {"signature_name":7,"inputs":[]} not formatted correctly. '),
        (
            {"signature_name": "x", "inputs": []},
            'Serving signature name: "x" not found in signature def. The model has',
        ),
        ({"instances": {}}, "JSON Value: {} Excepting 'instances' to be an list/array"),
        ({"instances": []}, "JSON Value: [] No values in 'instances' array"),
        ({"signature_name": "values", "instances": [1]}, "instances is a plain list, but expecting list of objects as"),
        ({"signature_name": "values", "inputs": [1]}, "inputs is a plain value/list, but expecting an object as"),
        (
            {"instances": [{"b64": "CgA="}, {"examples": 1}]},
            "Expecting value/list but got object at item 1 of input list",
        ),
        ({"instances": [{"examples": "a"}, "b"]}, "Expecting object but got list at item 1 of input list"),
        ({"instances": [{"other": "a"}]}, "Failed to process element: 0 of 'instances' list. JSON object: "),
        (
            {"instances": [5]},
            "JSON Value: 5 Type: Number is not of expected type: string, in input examples, element 0",
        ),
        ({"instances": [{"b64": "*"}]}, "Unable to base64 decode, in input examples, element 0"),
        ({"instances": [{"b64": 5, "c": 1}]}, "Failed to process element: 0 of 'instances' list."),
        ({"instances": [["a"]]}, "input examples, element 0 is a list, and the input has one dimension"),
        ({"inputs": {"examples": "a"}}, 'input examples has no dimension: "a". Write a list'),
        ({"instances": ["no record"]}, "The examples are no records of the schema 'shop'"),
        (of_values(item=None), "Missing named input: item in 'inputs' object."),
        (of_values(age=["x", 1]), 'JSON Value: "x" Type: String is not of expected type: double, in input age'),
        (of_values(age=[None, 1]), "JSON Value: null Type: Null is not of expected type: double, in input age"),
        (of_values(age=[True, 1]), "JSON Value: true Type: True is not of expected type: double, in input age"),
        (of_values(age=[2**60, 1]), "Cannot convert JSON value: 1152921504606846976 to double without loss of"),
        (of_values(tags_weights=[1e300, 1, 1]), "Cannot convert JSON value: 1e+300 to float without loss of precision"),
        (of_values(tags_lengths=[3.0, 0]), "JSON Value: 3.0 Type: Number is not of expected type: int64"),
        (of_values(tags_lengths=[2**63, 0]), "JSON Value: 9223372036854775808 Type: Number is not of expected type"),
        (of_values(item=[1, 2, 3]), "JSON Value: 1 Type: Number is not of expected type: string, in input item"),
        (of_values(item=[{"a": 1}, "i", "i"]), 'JSON Value: {"a":1} not formatted correctly for base64 data, in input'),
        (of_values(impressions_per_group=[400, 101]), "the request has 501 candidates; the server takes 500 a request"),
        (of_values(impressions_per_group=[10**12, 1]), "the request has 1000000000001 candidates"),
        (of_values(impressions_per_group=[-1, 4]), "impressions_per_group"),
        (of_values(tags_lengths=[1, 1]), "tags"),
        (of_values(user_id=["u1"]), "user_id"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_as_tensorflow_serving_says_it(server, body: Any, text: str):
    reply = server.ask("POST", PREDICT, body if isinstance(body, bytes) else json.dumps(body).encode())
    assert reply.status == 400
    assert reply.error.startswith(text), reply.error
