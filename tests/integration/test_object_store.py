"""Logs, data sets, predictions and models in a store that speaks S3 (a real server), through the command line."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from esmm_dist.progress import Progress
from esmm_dist.storage.copy import copy_tree
from esmm_dist.storage.folder import Folder
from launcher.cli import main
from tests.support.folder_content import folder_content
from tests.support.s3_server import S3Server

SYNTH = ["--impressions", "3000", "--seed", "5"]
PREPROCESS = ["--schema", "aliccp", "--min-count", "2", "--lanes", "4", "--workers", "1"]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log, a data set and a run on this machine, to compare with."""
    folder = tmp_path_factory.mktemp("local")
    assert main(["synth", f"{folder}/raw", *SYNTH]) == 0
    assert main(["preprocess", f"{folder}/raw", f"{folder}/data", *PREPROCESS]) == 0
    few = ["--max-steps", "4", "--global-batch-records", "32", "--embedding-dim", "4", "--hidden-units", "8"]
    assert main(["train", "--data", f"{folder}/data", "--run", f"{folder}/run", *few]) == 0
    return folder


@pytest.fixture(scope="module")
def stored(s3: S3Server, local: Path) -> Path:
    """The log and the data set, also in the store."""
    for name in ("raw", "data"):
        assert main(["copy", f"{local}/{name}", s3.uri(f"bucket/{name}")]) == 0
    return local


@pytest.fixture(autouse=True)
def no_copies_left(tmp_path, monkeypatch):
    """Copies lie where a test looks that none is left."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    yield
    assert list((tmp_path / "tmp").glob("esmm-copy-*")) == []


def content(folder: Folder) -> dict[str, bytes]:
    """Return all files but the times of the raw files, which a store sets itself."""
    found = folder_content(folder)
    found.pop(".inputs.json", None)
    return found


def test_a_log_is_prepared_in_a_store_as_on_a_disk(s3, local, capsys):
    raw, data = s3.uri("bucket/first/raw"), s3.uri("bucket/first/data")
    assert main(["synth", raw, *SYNTH]) == 0
    assert content(Folder.open(raw)) == content(Folder.open(local / "raw"))
    capsys.readouterr()
    assert main(["preprocess", raw, data, *PREPROCESS, "--json"]) == 0
    made, expected = content(Folder.open(data)), content(Folder.open(local / "data"))
    assert made == expected
    told = capsys.readouterr()
    assert json.loads(told.out)["data"] == "s3://bucket/first/data"
    assert "Data set s3://bucket/first/data: schema aliccp" in told.err
    assert "asecret" not in told.out + told.err


def test_a_prepared_log_is_not_prepared_again_and_other_settings_are_refused(s3, stored, capsys):
    raw, data = s3.uri("bucket/raw"), s3.uri("bucket/data")
    assert main(["preprocess", raw, data, *PREPROCESS]) == 0
    assert (
        "s3://bucket/data already holds this data set, and its files are complete; nothing to do."
        in capsys.readouterr().err
    )
    before = content(Folder.open(data))
    assert main(["preprocess", raw, data, *PREPROCESS, "--seed", "18"]) == 2
    assert (
        "s3://bucket/data holds a finished data set made with other settings or logs: seed was 17"
        in capsys.readouterr().err
    )
    assert content(Folder.open(data)) == before


def test_a_data_set_in_a_store_that_lacks_a_file_is_made_again(s3, local, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ESMM_SCRATCH", str(tmp_path / "scratch"))
    data = s3.uri("bucket/lacking/data")
    again = ["preprocess", f"{local}/raw", data, *PREPROCESS]
    assert main(["copy", f"{local}/data", data]) == 0
    assert main(again) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert not list((tmp_path / "scratch").rglob("*.tfrecord"))
    shards = Folder.open(data) / "train"
    shards.delete_file(shards.names()[0])
    assert main(again) == 0
    assert "train/lane-000-part-000.tfrecord is missing or has another size (1 such files)" in capsys.readouterr().err
    assert content(Folder.open(data)) == content(Folder.open(local / "data"))
    assert ".files-elsewhere" not in Folder.open(data).names()


def test_the_manifest_in_scratch_is_not_believed_when_the_store_has_another(s3, local, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ESMM_SCRATCH", str(tmp_path / "scratch"))
    data = s3.uri("bucket/replaced/data")
    assert main(["copy", f"{local}/data", data]) == 0
    assert main(["preprocess", f"{local}/raw", data, *PREPROCESS]) == 0
    assert main(["preprocess", f"{local}/raw", f"{tmp_path}/other", *PREPROCESS, "--seed", "18"]) == 0
    assert main(["copy", f"{tmp_path}/other", data, "--again"]) == 0
    capsys.readouterr()
    assert main(["preprocess", f"{local}/raw", data, *PREPROCESS]) == 2
    assert "seed was 18 and is now 17" in capsys.readouterr().err


def test_the_bytes_of_a_data_set_in_a_store_are_verified_on_a_copy(s3, stored, capsys):
    assert main(["preprocess", f"{stored}/raw", s3.uri("bucket/data"), *PREPROCESS, "--verify"]) == 2
    assert "which are in an object store. Copy them first: esmm copy DATA FOLDER" in capsys.readouterr().err


def test_a_place_with_other_files_is_refused_before_the_work(s3, stored, capsys):
    Folder.open(s3.uri("bucket/taken")).write_bytes("theirs", b"1")
    for command in (
        ["synth", s3.uri("bucket/taken"), *SYNTH],
        ["preprocess", f"{stored}/raw", s3.uri("bucket/taken"), *PREPROCESS],
        ["export", "--run", f"{stored}/run", "--out", s3.uri("bucket/taken")],
    ):
        assert main(command) == 2
        assert "out is s3://bucket/taken, which holds files already" in capsys.readouterr().err
    assert Folder.open(s3.uri("bucket/taken")).names() == ["theirs"]


def test_a_model_is_measured_on_data_in_a_store(s3, stored, capsys):
    found = []
    for data in (f"{stored}/data", s3.uri("bucket/data")):
        assert main(["evaluate", "--run", f"{stored}/run", "--data", data, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]


@pytest.mark.parametrize("vocabulary", ["data", "run"])
def test_what_a_data_set_continues_may_be_in_a_store(s3, stored, vocabulary, tmp_path, capsys):
    assert main(["copy", f"{stored}/run", s3.uri("bucket/run")]) == 0
    like = ["--like", s3.uri("bucket/data"), "--vocabulary", s3.uri(f"bucket/{vocabulary}"), "--workers", "1"]
    assert main(["preprocess", f"{stored}/raw", f"{tmp_path}/data", *like]) == 0
    assert main(["preprocess", f"{stored}/raw", f"{tmp_path}/local", "--like", f"{stored}/data", "--vocabulary",
                 f"{stored}/{vocabulary}", "--workers", "1"]) == 0  # fmt: skip
    shards = [content(Folder.open(tmp_path / name / "test")) for name in ("data", "local")]
    assert shards[0] == shards[1]


def test_predictions_are_put_into_a_store_and_replaced(s3, stored, tmp_path, capsys):
    run, out = ["--run", f"{stored}/run"], s3.uri("bucket/scores/day-1.parquet")
    for split in ("train", "test"):
        assert main(["predict", *run, "--data", s3.uri("bucket/data"), "--split", split, "--out", out]) == 0
    assert "s3://bucket/scores/day-1.parquet" in capsys.readouterr().out
    assert main(["predict", *run, "--data", f"{stored}/data", "--out", f"{tmp_path}/here.parquet"]) == 0
    assert main(["copy", out, f"{tmp_path}/there.parquet"]) == 0
    assert pq.read_table(tmp_path / "there.parquet") == pq.read_table(tmp_path / "here.parquet")


def test_a_model_is_put_into_a_store(s3, stored, tmp_path, capsys):
    assert main(["export", "--run", f"{stored}/run", "--out", f"{tmp_path}/here"]) == 0
    assert main(["export", "--run", f"{stored}/run", "--out", s3.uri("bucket/model/1")]) == 0
    assert "esmm copy s3://bucket/model/1 FOLDER" in capsys.readouterr().out
    assert main(["copy", s3.uri("bucket/model/1"), f"{tmp_path}/there"]) == 0
    here, there = (Folder.open(tmp_path / side).tree() for side in ("here", "there"))
    assert list(here) == list(there)  # but not the empty folder "assets": stores know none
    readers = [tf.train.load_checkpoint(str(tmp_path / side / "variables/variables")) for side in ("here", "there")]
    for name in readers[0].get_variable_to_shape_map():
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH":
            np.testing.assert_array_equal(*(reader.get_tensor(name) for reader in readers))


def test_a_training_is_told_to_copy_its_data_first(s3, stored, tmp_path, capsys):
    assert main(["train", "--data", s3.uri("bucket/data"), "--run", f"{tmp_path}/run"]) == 2
    told = capsys.readouterr().err
    assert "data is s3://bucket/data, but esmm train needs a local path there." in told
    assert "esmm copy s3://bucket/data FOLDER" in told
    assert not (tmp_path / "run").exists()


def test_each_of_several_processes_is_told_to_copy_first(s3, stored, monkeypatch, capsys):
    monkeypatch.setattr("launcher.object_store.places.own_rank", lambda command: (1, 3))
    assert main(["evaluate", "--run", f"{stored}/run", "--data", s3.uri("bucket/data")]) == 2
    assert "which each of 3 processes would copy" in capsys.readouterr().err


def test_a_preprocess_that_was_ended_goes_on_with_what_it_has_in_scratch(s3, local, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ESMM_SCRATCH", str(tmp_path / "scratch"))
    raw, data = s3.uri("bucket/again/raw"), s3.uri("bucket/again/data")
    assert main(["copy", f"{local}/raw", raw]) == 0

    def ends(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr("preprocess.run.publish", ends)
        assert main(["preprocess", raw, data, *PREPROCESS]) == 130
    assert Folder.open(data).names() == []
    capsys.readouterr()
    assert main(["preprocess", raw, data, *PREPROCESS]) == 0
    told = capsys.readouterr().err
    assert "Continuing the unfinished run." in told
    assert "copy raw" not in told  # it is there
    assert content(Folder.open(data)) == content(Folder.open(local / "data"))
    left = {path.name for path in (tmp_path / "scratch").rglob("*") if path.is_file()} - {".lock"}
    assert left == {path.name for path in (local / "raw").iterdir()}  # for the next one; its result is in the store


def test_what_is_gone_from_the_store_is_gone_from_its_copy_in_scratch(s3, local, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ESMM_SCRATCH", str(tmp_path / "scratch"))
    raw = s3.uri("bucket/less/raw")
    assert main(["copy", f"{local}/raw", raw]) == 0
    assert main(["preprocess", raw, f"{tmp_path}/one", *PREPROCESS]) == 0
    for name in ("sample_skeleton_test.csv", "common_features_test.csv"):
        Folder.open(raw).delete_file(name)
    assert main(["preprocess", raw, f"{tmp_path}/two", *PREPROCESS, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out.splitlines()[-1])["splits"]) == ["train"]


def test_half_a_copy_of_a_log_is_not_prepared(local, tmp_path, capsys):
    assert main(["copy", f"{local}/raw", f"{tmp_path}/raw"]) == 0
    (tmp_path / "raw/.copying").write_text("")
    assert main(["preprocess", f"{tmp_path}/raw", f"{tmp_path}/data", *PREPROCESS]) == 1
    assert "raw is an incomplete copy. Finish it first" in capsys.readouterr().err


def test_a_result_that_was_put_by_half_is_put_whole(s3, local, tmp_path, monkeypatch):
    monkeypatch.setattr("esmm_dist.storage.file_copy.WAIT_S", 0.01)
    raw, data = f"{local}/raw", s3.uri("bucket/half/data")

    def ends(source: Folder, target: Folder, progress: Progress, **more: Any) -> None:
        s3.refuse_after(8)
        copy_tree(source, target, progress, **more)

    try:
        with monkeypatch.context() as context:
            context.setattr("esmm_dist.storage.on_copies.copy_tree", ends)
            assert main(["preprocess", raw, data, *PREPROCESS]) == 1
    finally:
        s3.refuse_after(float("inf"))
    half = Folder.open(data).names()
    assert ".copying" in half
    assert "manifest.json" not in half
    assert main(["preprocess", raw, data, *PREPROCESS]) == 0
    assert content(Folder.open(data)) == content(Folder.open(local / "data"))


def test_two_commands_do_not_share_a_copy_in_scratch(s3, stored, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ESMM_SCRATCH", str(tmp_path / "scratch"))
    evaluate = ["evaluate", "--run", f"{stored}/run", "--data", s3.uri("bucket/data")]
    assert main(evaluate) == 0
    (lock,) = (tmp_path / "scratch").glob("*/.lock")
    descriptor = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert main(evaluate) == 2
    finally:
        os.close(descriptor)
    assert "Another command is using the copy of s3://bucket/data" in capsys.readouterr().err


def test_scratch_that_cannot_be_written_is_named(s3, stored, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ESMM_SCRATCH", str(tmp_path / "file/scratch"))
    assert main(["evaluate", "--run", f"{stored}/run", "--data", s3.uri("bucket/data")]) == 1
    assert f"ESMM_SCRATCH is {tmp_path}/file/scratch, which is not writable" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["copy", "{tmp}/missing", "{tmp}/x"], "holds no files, or is not there"),
        (["copy", "", "{tmp}/x"], "SOURCE is empty"),
        (["copy", "{tmp}", "{tmp}/x", "--parallel", "0"], "parallel is 0"),
        (["copy", "ftp://host/x", "{tmp}/x"], "is no place that can be opened"),
    ],
)
def test_a_wrong_copy_is_refused(line, told, tmp_path, capsys):
    assert main([word.format(tmp=tmp_path) for word in line]) == 2
    assert told in capsys.readouterr().err


def test_a_copy_tells_what_it_did(s3, local, capsys):
    to = s3.uri("bucket/told/data")
    assert main(["copy", f"{local}/data", to, "--json"]) == 0
    told = capsys.readouterr()
    result = json.loads(told.out)
    assert result["files"] == len(Folder.open(local / "data").tree())
    assert result["target"] == "s3://bucket/told/data"
    assert f"Copied {result['files']} files" in told.err
    assert "asecret" not in told.out + told.err
    assert main(["copy", f"{local}/data", to]) == 0
    assert (
        f"Copied 0 files, 0 B, from {local}/data to s3://bucket/told/data; {result['files']} were there already."
        in (capsys.readouterr().out)
    )
