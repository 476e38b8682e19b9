"""``esmm submit``: what it says of the job that it makes, prints or follows."""

from types import SimpleNamespace

import pytest
import yaml

from launcher.cluster.submit import Submitted
from launcher.commands import submit as commands
from launcher.jobs.config import SubmitConfig
from launcher.run_files.job import JobStatus
from tests.unit.launcher.cluster.jobs import job_text
from tests.unit.launcher.commands.played_context import Messages, make_context


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(job_text("evaluate"))
    return str(path)


@pytest.fixture
def cluster(monkeypatch):
    """Play a cluster; return the namespaces that it was connected for."""
    asked = []

    def connect(namespace):
        asked.append(namespace)
        return SimpleNamespace(namespace=namespace or "default")

    monkeypatch.setattr(commands, "connect", connect)
    monkeypatch.setattr(
        commands, "submit", lambda api, job, progress: Submitted(job=job.name, namespace=api.namespace, objects=5)
    )
    monkeypatch.setattr(commands, "proxy_warning", lambda job: None)
    return asked


def test_a_job_that_was_made_is_named_with_the_command_that_shows_it(file, cluster):
    outcome = commands.submit_command(SubmitConfig(file=file), make_context())
    assert outcome.lines == ["Job nightly is submitted to namespace default. esmm status nightly shows how it is."]
    assert outcome.result == {"job": "nightly", "namespace": "default", "objects": 5}
    assert cluster == [None]


def test_a_namespace_that_was_named_is_in_the_command_that_shows_the_job(file, cluster):
    outcome = commands.submit_command(SubmitConfig(file=file, namespace="ml"), make_context())
    assert "esmm status nightly --namespace ml shows how it is." in outcome.lines[0]
    assert cluster == ["ml"]


def test_a_dry_run_prints_manifests_that_yaml_reads_and_asks_for_no_job(file, cluster, monkeypatch):
    manifests = [
        {"kind": "ConfigMap", "metadata": {"name": "nightly"}},
        {"kind": "Job", "metadata": {"name": "nightly"}},
    ]
    monkeypatch.setattr(commands, "dry_run", lambda job: manifests)
    outcome = commands.submit_command(SubmitConfig(file=file, dry_run=True), make_context())
    assert list(yaml.safe_load_all("\n".join(outcome.lines))) == manifests
    assert outcome.result["items"] == manifests
    assert cluster == []


def test_a_proxy_that_pods_would_not_have_is_warned_of(file, cluster, monkeypatch):
    monkeypatch.setattr(commands, "proxy_warning", lambda job: "HTTPS_PROXY is set here alone.")
    progress = Messages()
    commands.submit_command(SubmitConfig(file=file), make_context(progress))
    assert progress.texts == ["Warning: HTTPS_PROXY is set here alone."]


@pytest.mark.parametrize(("state", "done"), [("done", True), ("failed", False), ("stopped", False)])
def test_a_job_that_is_followed_ends_the_command_with_its_own_end(file, cluster, monkeypatch, capsys, state, done):
    def follow(api, job, say):
        say("step 7 \x1b[31m")
        return f"snapshot of {job}"

    status = JobStatus(job="nightly", where="namespace ml", state=state)
    monkeypatch.setattr(commands, "follow", follow)
    monkeypatch.setattr(commands, "full_status", lambda api, snapshot: {"snapshot of nightly": status}[snapshot])
    progress = Messages()
    outcome = commands.submit_command(SubmitConfig(file=file, follow=True), make_context(progress))
    assert outcome.done == done
    assert outcome.result["status"]["state"] == state
    assert outcome.result["objects"] == 5
    assert progress.texts == ["Job nightly is submitted to namespace default. esmm status nightly shows how it is."]
    assert capsys.readouterr().out.startswith("step 7 ")


def test_ctrl_c_ends_the_showing_and_says_that_the_job_goes_on(file, cluster, monkeypatch):
    def follow(api, job, say):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "follow", follow)
    progress = Messages()
    with pytest.raises(KeyboardInterrupt):
        commands.submit_command(SubmitConfig(file=file, follow=True), make_context(progress))
    assert progress.texts[-1] == "The job goes on. esmm logs nightly -f shows its lines, esmm cancel nightly ends it."
