"""What ``esmm report`` is given: a run, or a job whose run is in an object store."""

from types import SimpleNamespace

import pytest

from esmm_dist.errors import ConfigError
from launcher.cluster import snapshot
from launcher.cluster.api import connect
from launcher.commands.report_places import run_of_word
from tests.unit.launcher.cluster.jobs import make_job


@pytest.fixture
def job(monkeypatch):
    """Have a cluster that holds one job; returns what puts it there."""

    def put(task="train", **settings):
        file = make_job(task, **settings)
        monkeypatch.setattr(connect, "cluster_is_known", lambda: True)
        monkeypatch.setattr(connect, "connect", lambda namespace: "api")
        monkeypatch.setattr(snapshot, "read_snapshot", lambda api, name: SimpleNamespace(job=name, file=file))

    return put


@pytest.mark.parametrize("word", ["runs/a", "s3://bucket/run", "./run:100"])
def test_a_path_and_a_uri_are_runs(job, word):
    job(run="s3://models/run")
    assert run_of_word(word) == word


def test_a_folder_that_is_there_is_a_run(job, tmp_path, monkeypatch):
    job(run="s3://models/run")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nightly").mkdir()
    assert run_of_word("nightly") == "nightly"


def test_without_a_cluster_a_word_is_a_run_that_may_begin_later(monkeypatch):
    monkeypatch.setattr(connect, "cluster_is_known", lambda: False)
    assert run_of_word("nightly") == "nightly"


def test_a_job_is_read_where_its_run_is_stored(job):
    job(run="s3://models/run")
    assert run_of_word("nightly") == "s3://models/run"
    assert run_of_word("nightly:300") == "s3://models/run:300"


def test_a_run_in_a_claim_is_refused_with_the_job_that_makes_the_page(job):
    job()
    with pytest.raises(ConfigError, match=r"a claim that this machine does not see\. .* task: report"):
        run_of_word("nightly")


def test_a_job_that_does_not_train_is_refused(job):
    job("preprocess")
    with pytest.raises(ConfigError, match="Job nightly has task preprocess, and esmm report shows trainings"):
        run_of_word("nightly")
