"""A trained run scores a split: probabilities, metrics, and what is refused."""

import gzip
import json
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.checkpoint.reader import newest_checkpoint
from esmm_dist.config import build
from esmm_dist.errors import CheckpointError, ConfigError, InputDataError, SchemaError
from esmm_dist.inference.evaluate import EvaluateConfig, evaluate
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.inference.probabilities import probabilities
from esmm_dist.inference.scoring import scored_batches
from esmm_dist.inference.trained_model import TrainedModel, open_model, open_split
from esmm_dist.model.metrics import gauc
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.progress import NoProgress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from tests.support.tiny_dataset import Group, Impression, tiny_groups, tiny_schema, write_dataset

TEST = tiny_groups(30, seed=2, first_sample=5000)
WORLD = SoloWorld()


def loaded(run: Path) -> AbstractContextManager[TrainedModel]:
    return open_model(CheckpointChoice(run=str(run)), NoProgress(), connection=ConnectionConfig(), world=WORLD)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    write_dataset(folder / "data", {"train": tiny_groups(160), "test": TEST})
    settings = {
        "data": folder / "data",
        "run": str(folder / "run"),
        "input": {"global_batch_records": 16, "epochs": 1},
        "embedding": {"embedding_dim": 4},
        "model": {"hidden_units": [8], "dropout": 0.5},
        "checkpoint": {"checkpoint_every_steps": 5},
    }
    return folder, train(build(TrainConfig, settings, where="test"), NoProgress())


def test_predictions_are_the_chains_probabilities_of_every_impression_in_file_order(trained):
    folder, result = trained
    out = folder / "new folder/scores.parquet"
    written = predict(PredictConfig(run=str(folder / "run"), data=folder / "data", out=out), NoProgress())
    table = pq.read_table(out)
    assert table.schema.remove_metadata() == pa.schema(
        {"sample_id": pa.int64(), "pctr": pa.float32(), "pcvr": pa.float32(), "pctcvr": pa.float32()}
    )
    lanes = [TEST[lane::4] for lane in range(4)]  # 64 records a batch, four times those of training: 16 of each lane
    order = [g for lane in lanes for g in lane]
    assert table["sample_id"].to_pylist() == [i.sample_id for g in order for i in g.impressions]
    pctr, pcvr, pctcvr = (table[name].to_numpy() for name in ("pctr", "pcvr", "pctcvr"))
    np.testing.assert_allclose(pctcvr, pctr * pcvr, rtol=1e-6)
    assert np.all((pctr > 0) & (pctr < 1) & (pcvr > 0) & (pcvr < 1))
    assert (written.impressions, written.step, written.path) == (len(pctr), result.step, str(out))
    assert written.lines()[0].startswith(f"Wrote {len(pctr):,} predictions of the model at step 10 to {out} (")
    assert [path.name for path in out.parent.iterdir()] == ["scores.parquet"]


@pytest.mark.parametrize("name", ["scores.csv", "scores.csv.gz"])
def test_a_name_that_ends_in_csv_gets_a_csv_of_the_same_numbers(trained, tmp_path, name):
    folder, _ = trained
    tables = []
    for out in (tmp_path / name, tmp_path / "scores.pq"):
        predict(PredictConfig(run=str(folder / "run"), data=folder / "data", out=out), NoProgress())
        types = {each: pa.float32() for each in ("pctr", "pcvr", "pctcvr")}
        read = (
            pacsv.read_csv(out, convert_options=pacsv.ConvertOptions(column_types=types))
            if out.suffix != ".pq"
            else None
        )
        tables.append(read or pq.read_table(out))
    assert tables[0].equals(tables[1])
    opened = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "rt") as file:
        assert file.readline() == '"sample_id","pctr","pcvr","pctcvr"\n'


@pytest.mark.parametrize("name", ["scores", "scores.tsv", "scores.parquet.gz", "csv"])
def test_a_name_with_another_ending_is_refused(tmp_path, name):
    with pytest.raises(
        ConfigError,
        match=rf"out is .*{name}, whose name has no known ending. Give a name that ends in .parquet, .pq, .csv or",
    ):
        PredictConfig(run="run", data=tmp_path, out=tmp_path / name)


def test_a_second_prediction_replaces_the_file_with_the_same_bytes(trained):
    folder, _ = trained
    config = PredictConfig(run=str(folder / "run"), data=folder / "data", out=folder / "twice.parquet")
    predict(config, NoProgress())
    before = config.out.read_bytes()
    config.out.write_text("older")
    predict(config, NoProgress())
    assert config.out.read_bytes() == before


def test_a_failed_prediction_leaves_the_file_that_was_there(trained, tmp_path):
    folder, _ = trained
    write_dataset(tmp_path, {"test": TEST})
    path = tmp_path / "test/lane-003-part-001.tfrecord"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    out = tmp_path / "scores.parquet"
    out.write_text("older")
    with pytest.raises(InputDataError, match="a shard cannot be read"):
        predict(PredictConfig(run=str(folder / "run"), data=tmp_path, out=out), NoProgress())
    assert out.read_text() == "older"
    assert not (tmp_path / "scores.parquet.writing").exists()


def test_evaluation_finds_the_metrics_of_the_end_of_training(trained):
    folder, result = trained
    found = evaluate(EvaluateConfig(run=str(folder / "run"), data=folder / "data"), NoProgress()).tasks
    assert found == result.metrics
    assert found["ctr"].impressions == sum(len(g.impressions) for g in TEST)
    assert found["ctr"].positives == sum(i.labels[0] for g in TEST for i in g.impressions)
    assert found["cvr"].impressions == found["ctr"].positives


def test_gauc_is_that_of_the_users_of_the_named_field(trained):
    folder, _ = trained
    config = EvaluateConfig(run=str(folder / "run"), data=folder / "data")
    predict(PredictConfig(run=config.run, data=config.data, out=folder / "users.parquet"), NoProgress())
    scores = pq.read_table(folder / "users.parquet").to_pydict()
    click_score = dict(zip(scores["sample_id"], scores["pctr"], strict=True))
    impressions = [(group, i) for group in TEST for i in group.impressions]
    labels = [i.labels[0] for _, i in impressions]
    values = [click_score[i.sample_id] for _, i in impressions]
    by_field = {
        None: [group.fields[0][0][0] for group, _ in impressions],  # the first one-hot field of the users: user
        "item": [i.fields[0][0][0] for _, i in impressions],
    }
    for name, users in by_field.items():
        found = evaluate(replace(config, gauc_field=name), NoProgress()).tasks["ctr"]
        assert found.gauc == pytest.approx(gauc(values, labels, np.array(users)).value, rel=1e-6)
    with pytest.raises(ConfigError, match="gauc_field is 'history', a multi-hot field of schema 'tiny'"):
        evaluate(replace(config, gauc_field="history"), NoProgress())


def test_evaluation_counts_for_each_field_the_impressions_that_the_model_knows_an_id_of(trained, tmp_path):
    """Users 1000 .. 1019 and items 3000 .. 3011 were trained, tags 4000 .. 4007; 9 and more are new."""

    def impression(sample_id: int, *fields: list[int]) -> Impression:
        return Impression(sample_id=sample_id, labels=(0, 0), fields=[[(i, 1.0) for i in ids] for ids in fields])

    groups = [
        Group(fields=[[(1001, 1.0)], []], impressions=[impression(1, [3001], [4001, 99]), impression(2, [98], [])]),
        Group(fields=[[(97, 1.0)], [(96, 2.0)]], impressions=[impression(n, [3002], [99]) for n in (3, 4, 5)]),
    ]
    write_dataset(tmp_path, {"test": groups}, lanes=1, parts=1)
    folder, _ = trained
    found = evaluate(EvaluateConfig(run=str(folder / "run"), data=tmp_path), NoProgress())
    counts = {each.name: each.splits["test"] for each in found.fields}
    assert {name: (each.impressions, each.empty, each.unknown) for name, each in counts.items()} == {
        "user": (5, 0, 3), "history": (5, 2, 3), "item": (5, 0, 1), "tags": (5, 1, 3),
    }  # fmt: skip
    assert [line.split(":")[0] for line in found.warnings] == [
        "Field 'user'", "Field 'history'", "Field 'item'", "Field 'tags'"
    ]  # fmt: skip
    assert "'history': the model has learned not one of its ids in the test split" in found.warnings[1]
    assert "'item': 20% of the test impressions hold no id that the model has learned" in found.warnings[2]
    assert found.to_mapping()["fields"]["tags"]["splits"]["test"] == {"impressions": 5, "empty": 1, "unknown": 3}


def test_evaluation_on_data_of_which_the_model_knows_nothing_says_so(trained, tmp_path):
    nobody = Impression(sample_id=1, labels=(0, 0), fields=[[(98, 1.0)], []])
    write_dataset(tmp_path, {"test": [Group(fields=[[(97, 1.0)], []], impressions=[nobody])]}, lanes=1, parts=1)
    folder, _ = trained
    found = evaluate(EvaluateConfig(run=str(folder / "run"), data=tmp_path), NoProgress())
    assert found.warnings == [
        "The model has learned not one id of the test split: all impressions look the same to it. Is this the data of "
        "another log?"
    ]


def test_a_loaded_model_scores_twice_the_same_and_without_dropout(trained):
    folder, _ = trained
    scores = []
    for _ in range(2):
        with loaded(folder / "run") as model:
            reader, manifest = open_split(model, folder / "data", "test", WORLD)
            scores.append(np.concatenate([b.logits for b in scored_batches(model.scorer, reader, WORLD)]))
            assert scores[-1].shape == (manifest.splits["test"].impressions, 2)
    np.testing.assert_array_equal(scores[0], scores[1])


def test_data_with_other_lanes_is_scored_in_batches_that_fit_them(trained, tmp_path):
    folder, _ = trained
    write_dataset(tmp_path, {"test": tiny_groups(100)}, lanes=5)
    with loaded(folder / "run") as model:
        reader, manifest = open_split(model, tmp_path, "test", WORLD)
        impressions = manifest.splits["test"].impressions
        assert [batch.num_groups for batch in reader.epoch(0, seed=None)] == [65, 35]  # 64 rounded to a multiple of 5
        assert sum(batch.num_impressions for batch in scored_batches(model.scorer, reader, WORLD)) == impressions


def test_a_run_without_a_checkpoint_says_how_to_train(tmp_path):
    with (
        pytest.raises(CheckpointError, match=f"{tmp_path} holds no checkpoint. Train first: esmm train"),
        loaded(tmp_path),
    ):
        pass


def test_data_of_another_schema_is_refused(trained, tmp_path):
    folder, _ = trained
    fields = tuple(replace(f, combiner="mean") if f.name == "tags" else f for f in tiny_schema().fields)
    write_dataset(tmp_path, {"test": TEST}, schema=tiny_schema(fields=fields))
    message = (
        r"\('tiny'\) is not that of the model \('tiny'\): fields.tags.combiner is 'mean', the model has 'sum'\. Pre"
    )
    with pytest.raises(SchemaError, match=message):
        evaluate(EvaluateConfig(run=str(folder / "run"), data=tmp_path), NoProgress())


def test_data_whose_schema_names_other_files_is_scored(trained, tmp_path):
    folder, result = trained
    write_dataset(tmp_path, {"test": TEST}, schema=tiny_schema(name="tomorrow"))
    assert evaluate(EvaluateConfig(run=str(folder / "run"), data=tmp_path), NoProgress()).tasks == result.metrics


@pytest.mark.parametrize("given", [{"run": "{run}:5"}, {"run": "{run}", "step": 5}])
def test_a_step_chooses_the_checkpoint(trained, tmp_path, given):
    folder, _ = trained
    given = {**given, "run": given["run"].format(run=folder / "run")}
    written = predict(PredictConfig(**given, data=folder / "data", out=tmp_path / "at-5.parquet"), NoProgress())
    assert written.step == 5
    newest = evaluate(EvaluateConfig(run=str(folder / "run"), data=folder / "data"), NoProgress())
    assert evaluate(EvaluateConfig(**given, data=folder / "data"), NoProgress()) != newest


def test_an_unknown_split_is_refused(trained):
    folder, _ = trained
    with pytest.raises(InputDataError, match="has no split 'valid'. It has: test, train"):
        evaluate(EvaluateConfig(run=str(folder / "run"), data=folder / "data", split="valid"), NoProgress())


def test_a_folder_as_the_output_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=f"out is {tmp_path}, a folder. Give the name of a file"):
        PredictConfig(run=str(tmp_path), data=tmp_path, out=tmp_path)


def test_a_longer_funnel_has_a_column_for_each_conditional_and_each_product():
    tree = LabelTree.of(("click", "cart", "buy", "favourite"), {"favourite": "click"})
    assert tree.columns == [
        "p_click",
        "p_cart_given_click",
        "p_cart",
        "p_buy_given_cart",
        "p_buy",
        "p_favourite_given_click",
        "p_favourite",
    ]
    logits = np.log(np.array([[1.0, 3.0, 0.25, 9.0]], dtype=np.float32))  # odds: 1/2, 3/4, 1/5, 9/10
    found = np.array(probabilities(logits, tree))[:, 0]
    np.testing.assert_allclose(found, [1 / 2, 3 / 4, 3 / 8, 1 / 5, 3 / 40, 9 / 10, 9 / 20], rtol=1e-6)


def test_probabilities_of_extreme_logits_keep_their_size():
    pctr, pcvr, pctcvr = probabilities(
        np.array([[-80.0, 80.0]], dtype=np.float32), LabelTree.of(("click", "conversion"))
    )
    np.testing.assert_allclose([pctr[0], pcvr[0], pctcvr[0]], [np.exp(-80.0), 1.0, np.exp(-80.0)], rtol=1e-5)


def test_the_newest_checkpoint_is_the_model(trained):
    folder, _ = trained
    checkpoint = newest_checkpoint(Folder.open(folder / "run"), NoProgress())
    assert checkpoint is not None
    with loaded(folder / "run") as model:
        assert model.step == checkpoint.manifest.step == 10
    assert json.loads(checkpoint.folder.read_bytes("manifest.json"))["metrics"]["ctr"]["auc"] is not None
