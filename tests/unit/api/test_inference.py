"""Scores in a file, exports, and places in object stores."""

import pyarrow.parquet as pq

import esmm_dist
from esmm_dist.storage.copy import CopyOptions, copy_tree
from esmm_dist.storage.folder import Folder
from tests.unit.launcher.commands.played_context import Messages


def test_scores_are_written_as_they_are_returned(shop, tmp_path):
    done = esmm_dist.predict(shop.run, shop.data, out=tmp_path / "scores.parquet", split="test")
    assert (done.impressions, done.path) == (80, str(tmp_path / "scores.parquet"))
    assert pq.read_table(tmp_path / "scores.parquet").equals(esmm_dist.predict(shop.run, shop.data))
    assert repr(done).startswith("Wrote 80 predictions of the model at step")


def test_a_raw_log_is_scored_without_labels(shop, tmp_path):
    pq.write_table(shop.tables["test"].drop_columns(["click", "buy"]), tmp_path / "today.parquet")
    done = esmm_dist.predict(shop.run, raw=tmp_path / "today.parquet", out=tmp_path / "scores.parquet", keep=["item"])
    assert "80 predictions" in repr(done)
    assert pq.read_table(tmp_path / "scores.parquet").column_names[-4:] == ["item", "pctr", "pcvr", "pctcvr"]


def test_what_is_read_and_written_may_be_in_an_object_store(shop, tmp_path, s3):
    place = s3.uri("bucket/library")
    copy_tree(Folder.open(shop.data.path), Folder.open(s3.uri("bucket/library/data")), Messages(), task="copy",
              options=CopyOptions())  # fmt: skip
    data, out = s3.uri("bucket/library/data"), s3.uri("bucket/library/scores.parquet")
    assert place
    found = esmm_dist.evaluate(shop.run, data, baseline=False)
    assert found.tasks == esmm_dist.evaluate(shop.run, shop.data, baseline=False).tasks
    done = esmm_dist.predict(shop.run, data, out=out)
    assert done.path == str(Folder.open(out))
    assert "scores.parquet" in Folder.open(s3.uri("bucket/library")).names()


def test_a_model_is_exported(shop, tmp_path):
    done = esmm_dist.export(shop.run, tmp_path / "model")
    assert (tmp_path / "model/saved_model.pb").is_file()
    assert done.step == shop.run.step
