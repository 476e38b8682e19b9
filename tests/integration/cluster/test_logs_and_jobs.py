"""``esmm logs`` and ``jobs``, and what is so of all verbs."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.fake_kubernetes.flows import SCHEDULE, SERVE, last_json, published, write
from tests.fake_kubernetes.server import wait_until

README = Path(__file__).parents[3] / "k8s/README.md"
OPTIONAL = ("mpijobs", "servicemonitors", "priorityclasses")
"""What this job does not use."""


def test_logs_of_driver_worker_rank_and_server(running, esmm) -> None:
    assert "ranks train from step" in esmm("logs", "nightly")
    assert esmm("logs", "nightly", "--rank", "1").strip() == "nightly-worker-1 begins"
    assert esmm("logs", "nightly", "--worker", "0").strip() == "nightly-worker-0 begins"
    assert esmm("logs", "nightly", "--server", "1").strip() == "nightly-server-1 begins"
    assert esmm("logs", "nightly", "--driver", "--tail", "1").count("\n") == 1


def test_logs_of_who_is_not_there(running, esmm) -> None:
    assert "(running) has no rank 7 now. Its ranks: 0, 1." in esmm("logs", "nightly", "--rank", "7", status=2)
    text = esmm("logs", "nightly", "--server", "9", status=2)
    assert "has no pod of server-9 now" in text
    assert "Its pods: driver-" in text


@pytest.mark.parametrize("zone", ["Z", "+08:00", None])
def test_logs_that_follow_show_each_line_once_until_the_end(running, esmm, zone) -> None:
    running.zone = zone
    pod = next(each for each in running.names("pods") if "driver" in each)

    def go_on() -> None:
        for i in range(5):
            before = len([each for each in running.calls if each.resource == "pods/log"])
            running.write("default", pod, f"line {i}")
            wait_until(lambda: len([each for each in running.calls if each.resource == "pods/log"]) > before + 1)  # noqa: B023
        running.script.steps = 1

    helper = threading.Thread(target=go_on)
    helper.start()
    out = esmm("logs", "nightly", "-f")
    helper.join()
    assert [each for each in out.splitlines() if each.startswith("line")] == [f"line {i}" for i in range(5)]
    assert out.splitlines()[-1] == "the run is done"


def test_jobs_lists_cluster_jobs_and_local_runs(running, esmm, tmp_path) -> None:
    (tmp_path / "runs" / "a").mkdir(parents=True)
    text = json.dumps(published(running) | {"state": "stopped"})
    (tmp_path / "runs" / "a" / "status.json").write_text(text)
    rows = last_json(esmm("jobs", "--json"))["jobs"]
    assert [(each["job"], each["where"], each["state"]) for each in rows] == [
        ("nightly", "default", "running"),
        ("./runs/a", "local", "stopped"),
    ]
    assert "nightly" in esmm("jobs", "--all-namespaces")


def test_jobs_without_a_cluster_lists_local_runs(tmp_path, esmm, monkeypatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    assert "There are no jobs" in esmm("jobs")


def test_a_job_in_another_namespace(cluster, esmm, job) -> None:
    cluster.store.create("namespaces", "", {"metadata": {"name": "team"}})
    assert "esmm status nightly --namespace team" in esmm("submit", job, "--namespace", "team")
    wait_until(lambda: published(cluster, "team").get("ranks") == 2)
    assert "Job nightly in namespace team: running" in esmm("status", "nightly", "--namespace", "team")
    esmm("delete", "nightly", "--namespace", "team", "--no-keep-data")
    assert cluster.everything("team") == []


def test_the_installed_command_does_the_same(running, tmp_path) -> None:
    command = [sys.executable, "-m", "launcher", "status", "nightly", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert last_json(done.stdout)["run"]["ranks"] == 2


def test_help_does_not_import_the_client() -> None:
    code = "import sys, launcher.cli; launcher.cli.main(['--help']); sys.exit('kubernetes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0


def test_the_verbs_need_the_rights_that_the_readme_lists_and_no_others(running, esmm, tmp_path) -> None:
    esmm("status", "nightly")
    esmm("logs", "nightly")
    esmm("scale", "nightly", "--workers", "1")
    esmm("scale", "nightly", "--servers", "1")
    esmm("cancel", "nightly")
    esmm("resume", "nightly")
    esmm("jobs")
    esmm("delete", "nightly", "--no-keep-data")
    for _ in range(2):
        esmm("submit", write(tmp_path, SCHEDULE))
    for verb in ("status", "cancel", "resume"):
        esmm(verb, "every-night")
    esmm("delete", "every-night", "--no-keep-data")
    for _ in range(2):
        esmm("submit", write(tmp_path, SERVE))
    esmm("status", "shop")
    for bounds in (("--replicas", "2", "--max-replicas", "6"), ("--replicas", "3")):
        esmm("scale", "shop", *bounds, "--wait-s", "0")
    esmm("cancel", "shop")
    esmm("resume", "shop", "--wait-s", "0")
    esmm("delete", "shop")
    found: dict[str, set[str]] = {}
    for each in running.calls:
        found.setdefault(each.resource, set()).add(each.verb)
    text = README.read_text(encoding="utf-8").partition("## Rights")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    listed = {
        resource.strip(" `"): {verb.strip() for verb in row[2].split(",")}
        for row in rows
        for resource in row[1].split(",")
    }
    assert len(listed) > 10
    assert found == {resource: verbs for resource, verbs in listed.items() if resource not in OPTIONAL}
