"""Impressions that are named by texts: found out, kept beside a hash, and no other bytes where they are numbers."""

import gzip
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.errors import InputDataError, SchemaError
from esmm_dist.schema.feature_id import hashed_id
from esmm_dist.schema.files import load_schema
from esmm_dist.schema.manifest import DatasetManifest
from preprocess.read.texts import Texts
from tests.unit.preprocess.flat_logs import HEADER, schema, write_csv
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import read_impressions, read_lanes, rejects, run, shard_bytes

UUIDS = [str(uuid.UUID(int=n * 2**90 + n)) for n in range(300)]


def rows(ids: list[str]) -> list[str]:
    return [f"{each},u{n % 7},sport:{n % 3},{n % 11},a|b{n % 5},{n % 2},0" for n, each in enumerate(ids)]


def named(out: Path, manifest: DatasetManifest) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Return for each name in the records the number and the labels that stand beside it."""
    import tensorflow as tf

    found = {}
    for record in (record for lane in read_lanes(out, manifest, "train") for record in lane):
        lists = tf.train.Example.FromString(record).features.feature
        labels = np.array(lists["labels"].int64_list.value).reshape(-1, 2).tolist()
        numbers = lists["sample_ids"].int64_list.value
        for name, number, each in zip(lists["sample_names"].bytes_list.value, numbers, labels, strict=True):
            found[name.decode()] = (number, tuple(each))
    return found


def test_a_log_of_uuids_keeps_each_beside_its_own_labels_and_its_hash(tmp_path: Path):
    manifest = run(write_csv(tmp_path, rows(UUIDS)), tmp_path / "out", schema=schema(tmp_path, "log.csv"))
    assert manifest.schema.has_text_sample_ids
    expected = {each: (hashed_id(each.encode()), (n % 2, 0)) for n, each in enumerate(UUIDS)}
    assert named(tmp_path / "out", manifest) == expected


def test_cuts_and_packing_do_not_change_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Small chunks, and partitions of one or few contexts that are too large and are cut (``skew``)."""
    raw = write_csv(tmp_path, rows(UUIDS))
    whole = run(raw, tmp_path / "whole", schema=schema(tmp_path, "log.csv"))
    use_plan(monkeypatch, partition_limit_bytes=1000, chunk_bytes=900)
    pieces = run(raw, tmp_path / "pieces", schema=schema(tmp_path, "log.csv"))
    (raw / "log.csv.gz").write_bytes(gzip.compress((raw / "log.csv").read_bytes()))
    (raw / "log.csv").unlink()
    packed = run(raw, tmp_path / "packed", schema=schema(tmp_path, "log.csv.gz"))
    assert shard_bytes(tmp_path / "pieces", pieces) == shard_bytes(tmp_path / "whole", whole)
    assert shard_bytes(tmp_path / "packed", packed) == shard_bytes(tmp_path / "whole", whole)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(UUIDS),
        pa.array(UUIDS).dictionary_encode(),
        pa.array([uuid.UUID(each).bytes for each in UUIDS], pa.uuid()),
        pa.array(UUIDS, pa.string_view()),
    ],
    ids=lambda column: str(column.type),
)
def test_texts_of_parquet_columns_are_those_of_csv(tmp_path: Path, column: pa.Array):
    raw = write_csv(tmp_path, rows(UUIDS))
    whole = run(raw, tmp_path / "csv", schema=schema(tmp_path, "log.csv"))
    texts = pa.schema([(name, pa.string()) for name in HEADER.split(",")])
    table = pacsv.read_csv(raw / "log.csv").cast(texts).set_column(0, "id", column)
    pq.write_table(table, raw / "log.parquet", row_group_size=100)
    found = run(raw, tmp_path / "parquet", schema=schema(tmp_path, "log.parquet"))
    assert shard_bytes(tmp_path / "parquet", found) == shard_bytes(tmp_path / "csv", whole)


def test_whole_numbers_stay_numbers_and_a_few_damaged_ones_are_rejected(tmp_path: Path):
    ids = ["12x", "", *map(str, range(1, 60)), "60.0"]
    manifest = run(write_csv(tmp_path, rows(ids)), tmp_path / "out", schema=schema(tmp_path, "log.csv"))
    assert not manifest.schema.has_text_sample_ids
    assert manifest.schema == load_schema(schema(tmp_path, "log.csv"))
    assert [i.sample_id for i in read_impressions(tmp_path / "out", manifest, "train")] == list(range(1, 61))
    assert rejects(tmp_path / "out") == [("log.csv", line, "bad_sample_id") for line in (2, 3)]


def test_what_the_schema_says_is_not_found_out(tmp_path: Path):
    said = schema(tmp_path, "log.csv", sample_id="sample_id: id\n  sample_id_form: text")
    manifest = run(write_csv(tmp_path, rows(["1", "01"])), tmp_path / "text", schema=said)
    assert set(named(tmp_path / "text", manifest)) == {"1", "01"}
    said = schema(tmp_path, "log.csv", sample_id="sample_id: id\n  sample_id_form: number")
    with pytest.raises(InputDataError, match=r"bad_sample_id 300"):
        run(write_csv(tmp_path, rows(UUIDS)), tmp_path / "number", schema=said)


def test_an_empty_name_and_a_repeated_one_are_rejected(tmp_path: Path):
    raw = write_csv(tmp_path, rows(["a", "b", "", "a", "c"]))
    manifest = run(raw, tmp_path / "out", schema=schema(tmp_path, "log.csv"))
    assert set(named(tmp_path / "out", manifest)) == {"a", "b", "c"}
    assert rejects(tmp_path / "out") == [("log.csv", 4, "bad_sample_id"), ("log.csv", 5, "repeated_sample_id")]


def test_a_form_without_a_column_is_refused(tmp_path: Path):
    with pytest.raises(SchemaError, match=r"source\.sample_id_form is 'text', but source\.sample_id names no column"):
        load_schema(schema(tmp_path, "log.csv", sample_id="sample_id_form: text"))


@given(texts=st.lists(st.one_of(st.none(), st.text(max_size=5))), data=st.data())
def test_texts_are_taken_in_any_order(texts: list[str | None], data: st.DataObject):
    some = st.lists(st.integers(0, len(texts) - 1)) if texts else st.just([])
    index = data.draw(some)
    begin = data.draw(st.integers(0, len(texts)))
    plain = [(text or "").encode() for text in texts]
    assert Texts.of(pa.array(texts, pa.string())).take(np.array(index, np.int64)).to_list() == [plain[i] for i in index]
    assert Texts.of(pa.array(texts, pa.string())[begin:]).to_list() == plain[begin:]
