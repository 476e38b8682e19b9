"""Which job a word names."""

import pytest

from esmm_dist.errors import ConfigError
from launcher.cli import main
from launcher.cluster.api.errors import ClusterError
from launcher.jobs.find import find_job, is_local
from launcher.jobs.local_run import LocalRun


@pytest.mark.parametrize("word", ["s3://models/run", "runs/a", "./a", "."])
def test_a_uri_or_a_path_is_a_local_run(word):
    assert is_local(word, None)


@pytest.mark.parametrize("name", ["status.json", "local.json", "train_log.jsonl"])
def test_a_folder_with_a_run_is_one(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nightly").mkdir()
    assert not is_local("nightly", None)  # a folder of anything
    (tmp_path / "nightly" / name).write_text("{}")
    assert is_local("nightly", None)


def test_a_namespace_means_the_cluster(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nightly").mkdir()
    (tmp_path / "nightly" / "status.json").write_text("{}")
    assert not is_local("nightly", "team")


def test_status_of_a_path_without_a_run_says_what_it_looked_for(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == 2
    assert "is not a run: it has neither status.json (of an elastic training), nor" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["logs", "a", "--rank", "0", "--server", "1"], "rank and server are given. Set one of them"),
        (["logs", "a", "--tail", "-1"], "tail is -1. Set 0 or more"),
        (["scale", "a", "--workers", "0"], "workers is 0. Set 1 or more"),
        (["cancel", "a", "--wait-s", "-1"], "wait_s is -1.0. Set a number of seconds"),
        (["status", "a", "--watch", "0"], "watch is 0.0. Set a number of seconds above 0"),
        (["jobs", "--namespace", "a", "--all-namespaces"], "namespace and all_namespaces are both given"),
    ],
)
def test_a_verb_refuses_what_makes_no_sense(line, expected, capsys):
    assert main(line) == 2
    assert expected in capsys.readouterr().err


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A folder, on a machine that knows no cluster."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_word_that_names_nothing_says_what_it_could_have_named(nowhere):
    with pytest.raises(ConfigError, match="'nightly' is not a run: there is no such folder, and no cluster is known"):
        find_job("nightly")
    (nowhere / "nightly").mkdir()
    (nowhere / "nightly/notes.txt").write_text("")
    expected = "the folder has none of local.json, status.json, train_log.jsonl, and no cluster is known"
    with pytest.raises(ConfigError, match=expected):
        find_job("nightly")


def test_a_namespace_without_a_cluster_is_an_error_of_the_cluster(nowhere):
    with pytest.raises(ClusterError, match="No cluster is known"):
        find_job("nightly", "team")


def test_a_folder_with_a_run_needs_no_cluster(nowhere):
    (nowhere / "nightly").mkdir()
    (nowhere / "nightly/local.json").write_text("{}")
    assert isinstance(find_job("nightly"), LocalRun)
    assert isinstance(find_job("./anything"), LocalRun)
