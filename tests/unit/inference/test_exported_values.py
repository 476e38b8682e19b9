"""One value has one id: in CSV, in Parquet, in a data set, and in a request to the exported model."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from esmm_dist.config import build
from esmm_dist.inference.export import DESCRIPTION, ExportConfig, export
from esmm_dist.inference.export_assets.known_values import known_values
from esmm_dist.inference.export_folder import EXTRA_FOLDER
from esmm_dist.inference.exported_values import ValueInputs
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.inference.reached_data import ReachedData
from esmm_dist.progress import NoProgress
from esmm_dist.schema.feature_id import feature_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.manifest import DatasetManifest, read_manifest
from esmm_dist.schema.sources import FlatSource
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess
from tests.support.shop_log import shop_request, shop_rows, write_shop_csv, write_shop_parquet, write_shop_schema

TRAIN = shop_rows(400)
UNSEEN = {**shop_rows(1, seed=5)[0], "user id": "nobody", "item": "i999", "category": "new", "price": 1e9, "age": -1}
TEST = [*shop_rows(60, seed=2, first=5001), {**UNSEEN, "row": 6001}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data sets of the same rows from both forms, a run, its predictions and its exported model."""
    folder = tmp_path_factory.mktemp("shop")
    for form, write in (("csv", write_shop_csv), ("parquet", write_shop_parquet)):
        raw = folder / form
        raw.mkdir()
        write(raw / f"train.{form}", TRAIN)
        write(raw / f"test.{form}", TEST)
        schema = str(write_shop_schema(folder, form))
        preprocess(PreprocessConfig(raw=raw, out=folder / f"data-{form}", schema=schema), NoProgress())
    settings = {
        "data": folder / "data-csv",
        "run": str(folder / "run"),
        "input": {"epochs": 1},
        "embedding": {"embedding_dim": 4, "start_scale": 0.5, "embedding_learning_rate": 0.5},
        "model": {"hidden_units": [8]},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    scores = folder / "scores.parquet"
    predict(PredictConfig(run=str(folder / "run"), data=folder / "data-csv", out=scores), NoProgress())
    export(ExportConfig(run=str(folder / "run"), out=folder / "model"), NoProgress())
    return folder


@pytest.fixture(scope="module")
def signatures(folder: Path) -> Any:
    """The signatures of the exported model, which keep it."""
    return tf.saved_model.load(str(folder / "model")).signatures


def manifests(folder: Path) -> list[DatasetManifest]:
    return [read_manifest(folder / f"data-{form}") for form in ("csv", "parquet")]


def test_csv_and_parquet_give_the_same_records_and_edges(folder: Path):
    of_csv, of_parquet = manifests(folder)
    assert of_csv.schema.fields == of_parquet.schema.fields
    assert [s.crc32c for s in of_csv.files()][:-2] == [s.crc32c for s in of_parquet.files()][:-2]
    for split in ("train", "test"):
        assert [s.crc32c for s in of_csv.splits[split].shards] == [s.crc32c for s in of_parquet.splits[split].shards]
    price = of_csv.schema.field("price").numeric
    assert price is not None
    prices = sorted(row["price"] for row in TRAIN if row["price"] is not None)
    assert price.edges == tuple(sorted({prices[-(-k * len(prices) // 8) - 1] for k in range(1, 8)}))


def test_a_missing_value_counts_as_empty_also_where_it_has_an_id(folder: Path):
    manifest = manifests(folder)[0]
    for split, rows in (("train", TRAIN), ("test", TEST)):
        found = manifest.report["splits"][split]["fields"]
        for name in ("gender", "age", "price", "views", "category"):
            missing = sum(row[name] is None for row in rows)
            assert found[name]["empty"] == missing, name
            assert missing > 0
        assert found["interests"]["empty"] == sum(not row["interests"] for row in rows)
    assert manifest.report["splits"]["test"]["fields"]["category"]["unknown"] == 1  # of the last row, "new"


def columns_of(folder: Path) -> dict[str, dict[str, Any]]:
    columns: dict[str, dict[str, Any]] = json.loads((folder / "model" / DESCRIPTION).read_text())["values"]
    return columns


def test_a_request_of_raw_values_gets_the_scores_of_predict(folder: Path):
    model = tf.saved_model.load(str(folder / "model"))
    columns = columns_of(folder)
    assert columns["user id"] == {"value": "user_id", "lengths": None, "weights": None}
    assert columns["interests"] == {
        "value": "interests",
        "lengths": "interests_lengths",
        "weights": "interests_weights",
    }
    assert "gender x age" not in columns
    expected = pq.read_table(folder / "scores.parquet").to_pylist()
    by_row = {each["sample_id"]: each for each in expected}
    assert len({round(each["pctr"], 6) for each in expected}) > 30
    found = model.signatures["values"](**shop_request(TEST, columns, [1] * len(TEST)))
    for task in ("pctr", "pcvr", "pctcvr"):
        scores = [by_row[row["row"]][task] for row in TEST]
        np.testing.assert_allclose(found[task].numpy(), scores, rtol=1e-6)


def test_candidates_of_one_user_get_the_scores_that_they_get_alone(folder: Path):
    model = tf.saved_model.load(str(folder / "model"))
    columns = columns_of(folder)
    user = {name: TEST[0][name] for name in ("user id", "gender", "age", "history", "interests")}
    rows = [{**row, **user} for row in TEST]
    together = model.signatures["values"](**shop_request(rows, columns, [len(rows)]))
    alone = model.signatures["values"](**shop_request(rows, columns, [1] * len(rows)))
    np.testing.assert_allclose(together["pctcvr"].numpy(), alone["pctcvr"].numpy(), rtol=1e-6)


def records_of(data: Path, manifest: DatasetManifest, split: str) -> dict[int, dict[str, list[Any]]]:
    """Return the lists of each record of one impression by its sample id."""
    found = {}
    for shard in manifest.splits[split].shards:
        for record in tf.data.TFRecordDataset(str(data / shard.path), compression_type="ZLIB"):
            features = tf.train.Example.FromString(record.numpy()).features.feature
            lists = {key: list(each.int64_list.value or each.float_list.value) for key, each in features.items()}
            (sample_id,) = lists.pop("sample_ids")
            found[sample_id] = lists
    return found


def test_the_graph_makes_the_ids_of_the_records(folder: Path):
    manifest = manifests(folder)[0]
    everything = {table: lambda ids: tf.ones_like(ids, tf.bool) for table in manifest.schema.tables}
    inputs = ValueInputs(manifest.schema, everything)
    columns = {name: vars(column) for name, column in inputs.columns.items()}
    records = records_of(folder / "data-csv", manifest, "train")
    assert len(records) == len(TRAIN)
    for row in TRAIN[:80]:
        features = inputs.features(shop_request([row], columns, [1]))
        record = records[row["row"]]
        for key in ("user_ids", "user_lengths", "impression_ids", "impression_lengths", "user_weights"):
            assert features[key].numpy().tolist() == record[key], (row, key)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("age", [1.0], "age has another number of rows than impressions_per_gr"),
        ("age", [1.0, np.inf], "age has an infinite number"),
        ("history_lengths", [0, 99], "history_lengths does not add up to the number of values"),
        ("history_lengths", [-1, None], "history_lengths has a negative length"),
        ("interests_weights", None, "interests_weights has another number of weights than there are values"),
        ("interests_weights", [-1.0], "interests_weights has a weight that is negative or not finite"),
        ("interests_weights", [np.nan], "interests_weights has a weight that is negative or not finite"),
        ("impressions_per_group", [4, -1], "impressions_per_group has a negative number"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_by_name(
    folder: Path, signatures: Any, name: str, values: list[Any] | None, message: str
):
    good = shop_request(TEST[:3], columns_of(folder), [2, 1])
    before = good[name].numpy()
    if values is None:
        wrong = np.append(before, 1)
    elif name == "interests_weights":
        good["interests"], good["interests_lengths"] = tf.constant(["a"]), tf.constant([1, 0], tf.int64)
        wrong = np.array(values)
    else:
        wrong = np.array([before.sum() + 1 if value is None else value for value in values])
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures["values"](**{**good, name: tf.constant(wrong, good[name].dtype)})


def test_inputs_have_names_that_are_names_and_no_two_are_the_same():
    fields = [
        Field(name="a b", owner="user"),
        Field(name="a_b", owner="user"),
        Field(name="9", owner="item"),
        Field(name="tags", owner="item", multi_hot=True),
        Field(name="tags_lengths", owner="item"),
    ]
    source = FlatSource(form="flat", files={"train": "t.csv"}, labels={"click": "c", "order": "o"})
    schema = Schema(name="s", labels=("click", "order"), fields=tuple(fields), source=source)
    columns = ValueInputs(schema, {}).columns
    assert [columns[field.name].value for field in fields] == ["a_b_2", "a_b", "f_9", "tags", "tags_lengths"]
    assert columns["tags"].lengths == "tags_lengths_2"


def extra(folder: Path, name: str) -> Path:
    return folder / "model" / EXTRA_FOLDER / name


def test_golden_requests_get_their_answers_from_the_saved_model_in_every_form(folder: Path, signatures: Any):
    golden = json.loads(extra(folder, "golden.json").read_text(encoding="utf-8"))
    assert golden["fields_without_known_values"] == []  # the raw log lies beside the data set
    assert {each["form"] for each in golden["requests"]} == {"short", "values", "features", "records"}
    by_name: dict[str, dict[str, Any]] = {}
    for each in golden["requests"]:
        by_name.setdefault(each["name"], {})[each["form"]] = each
        if each["form"] != "short":
            found = asked(signatures, each["request"])
            expected = each["answer"]["outputs"]
            assert found.keys() == expected.keys()
            for name, values in expected.items():
                np.testing.assert_allclose(found[name], values, rtol=golden["tolerance"], err_msg=each["name"])
    for forms in by_name.values():
        if "short" in forms:
            scores = forms["short"]["answer"]["scores"]
            users = scores if isinstance(scores, list) else [scores]
            joined = {name: [score for user in users for score in user[name]] for name in users[0]}
            assert joined == forms["features"]["answer"]["outputs"]
    edges = by_name["numbers at the edges of buckets, and next to them"]["short"]["request"]
    assert edges["age"] == 18
    assert len({json.dumps(each["price"]) for each in edges["candidates"]}) == 7
    unknown = by_name["values that the model has never seen"]
    assert len(unknown["features"]["request"]["inputs"]["user_ids"]) < 5  # left out
    assert "values that the model has never seen, by their ids" in by_name


def test_known_values_of_an_event_log_are_those_of_its_impressions_wherever_it_lies_beside_a_pipeline(
    folder: Path, tmp_path: Path
):
    events = {"click/part-0.jsonl": '{"key": "r1"}', "impressions/part-0.csv": "key,item\nr1,odd one\n"}
    for name, text in events.items():
        (tmp_path / "event-raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "event-raw" / name).write_text(text)
    data_set = tmp_path / "work/days/2024-01-03/data"
    data_set.mkdir(parents=True)
    inputs = {name: {"file_bytes": len(text)} for name, text in events.items()}
    manifest = replace(read_manifest(folder / "data-csv"), settings={"inputs": inputs})
    data = ReachedData(folder=data_set, manifest=manifest)
    odd = feature_id("item", "odd one")
    knows = {field.table: lambda ids: ids == odd for field in manifest.schema.fields}
    found = known_values(manifest.schema, knows, data, {})
    assert found["item"] == ["odd one"]
    inputs["impressions/part-0.csv"]["file_bytes"] += 1  # another log of this name
    assert known_values(manifest.schema, knows, data, {})["item"] == []


def asked(signatures: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of a SavedModel to a request of TensorFlow Serving's REST."""
    score = signatures[request["signature_name"]]
    inputs = {}
    for name, spec in score.structured_input_signature[1].items():
        values = request["inputs"][name]
        if request["signature_name"] == "serving_default":
            values = [base64.b64decode(each["b64"]) for each in values]
        inputs[name] = tf.constant(values, spec.dtype)
    return {name: tensor.numpy() for name, tensor in score(**inputs).items()}


def test_the_rules_in_words_have_examples_that_another_hash_gives_too(folder: Path):
    def hashed(field: str, text: str) -> int:
        """Return TensorFlow's FarmHash, not that of ``esmm_dist``."""
        found = tf.fingerprint([field.encode() + b"\0" + text.encode()]).numpy()[0]
        return int.from_bytes(found.tobytes(), "little") & (2**63 - 1)

    text = extra(folder, "RULES.md").read_text(encoding="utf-8")
    schema = manifests(folder)[0].schema
    examples = [each for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL) for each in json.loads(block)]
    kinds = {"text": 0, "bucket": 0, "parts": 0, "number": 0}
    for each in examples:
        field = schema.field(each["field"])
        if "parts" in each:
            kinds["parts"] += 1
            assert each["id"] == hashed(field.name, ",".join(map(str, each["parts"])))
            for part, value, id_ in zip(field.cross, each["values"], each["parts"], strict=True):
                if value is None:
                    assert id_ == hashed(part, "")
        elif "bucket" in each:
            kinds["bucket"] += 1
            assert field.numeric is not None
            number = each["value"]
            bucket = "" if number is None else str(sum(edge <= number for edge in field.numeric.edges or ()))
            assert each["id"] == hashed(field.name, bucket)
        elif "text" in each:
            kinds["text"] += 1
            assert each["id"] == hashed(field.ids_of or field.name, each["text"])
        else:
            kinds["number"] += 1
            assert each["id"] == hashed(field.name, str(each["value"]))
    assert all(count > 3 for count in kinds.values()), kinds
    texts = {each["value"]: each["text"] for each in examples if "text" in each}
    assert (texts["7.0"], texts["1e+22"], texts["True"]) == ("7", "1" + "0" * 22, "true")
    assert all(f"| {field.name} |" in text for field in schema.fields)


def test_warm_up_requests_of_tensorflow_serving_run_on_every_signature(folder: Path, signatures: Any):
    counts: dict[str, int] = {}
    for record in tf.data.TFRecordDataset(str(extra(folder, "tf_serving_warmup_requests"))):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        score = signatures[request.model_spec.signature_name]
        found = score(**{name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()})
        assert len(found["pctr"]) > 0
        counts[request.model_spec.signature_name] = counts.get(request.model_spec.signature_name, 0) + 1
    assert counts == {"serving_default": 5, "features": 5, "values": 5}


def test_the_client_of_one_file_stands_beside_them(folder: Path):
    client = extra(folder, "esmm_client.py").read_text(encoding="utf-8")
    compile(client, "esmm_client.py", "exec")
    assert "class EsmmClient" in client
