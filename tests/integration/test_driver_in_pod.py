"""A job as its pods see it: a real driver, server and agent, over TLS, and an API (``tests/support/pod_api.py``)."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.storage.folder import Folder
from tests.support.agent_process import TOKEN, an_agent, wait_for
from tests.support.certificates import Authority
from tests.support.pod_api import JOB, NAMESPACE, PodApi, pod_api
from tests.support.secret_files import write_secret
from tests.support.server_processes import server_processes
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(180)

WORKER = f"{JOB}-worker-0"
HOST = f"{WORKER}.{JOB}-worker.{NAMESPACE}.svc"
STOP = '{"do": "stop", "id": "a1"}'


@contextlib.contextmanager
def a_driver(api: PodApi, log: Path, *flags: str | Path, pods: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    line = [sys.executable, "-P", str(Path(__file__).with_name("driver_in_pod.py")), "--job", JOB]
    line += ["--service-account", str(api.folder), *map(str, flags)]
    variables = os.environ | api.environment | {"POD_ADDRESSES": json.dumps(pods)}
    with log.open("ab") as out:
        process = subprocess.Popen(line, stdout=out, stderr=out, env=variables)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_job_trains_is_told_to_stop_and_gives_back_its_pods(tmp_path):
    data, run, log = tmp_path / "data", tmp_path / "run", tmp_path / "log"
    write_dataset(data, {"train": tiny_groups(640)})
    authority = Authority(tmp_path)
    server = authority.sign("server", hosts=[f"*.{JOB}-worker.{NAMESPACE}.svc"])
    client = authority.sign("client")
    token = tmp_path / "token"
    write_secret(token, TOKEN)
    address = f"127.{os.getpid() >> 8 & 255}.{os.getpid() & 255}.7"  # one of its own: the port is the same in all pods
    ca = ("--tls-ca", str(authority.cert))
    own = ("--tls-cert", str(server.cert), "--tls-key", str(server.key))
    with (
        pod_api(tmp_path / "account") as api,
        server_processes(1, "--token-file", str(token), *own, *ca) as servers,
    ):
        access = ["--servers", servers.servers, "--token-file", token, *ca]
        access += ["--tls-cert", client.cert, "--tls-key", client.key]
        train = ["train", "--data", data, "--run", run, "--global-batch-records", "64", "--epochs", "100000"]
        train += ["--checkpoint-every-steps", "50", "--eval-every-steps", "0", "--embedding-dim", "4", *access]
        flags = ["--run", run, "--max-workers", "2", *access]
        with an_agent(tmp_path / WORKER, *train, "--hidden-units", flags=("--bind", f"{address}:7071", *own)) as agent:
            with a_driver(api, log, *flags, pods={HOST: address}) as driver:

                def says() -> str:
                    assert driver.poll() is None, log.read_text() + agent.err
                    return str(api.published().get("state", ""))

                wait_for(lambda: says() == "starting", "first status")
                api.add_pod(WORKER)  # Ready
                wait_for(lambda: says() == "running" and api.published()["step"] > 0, "steps in the published status")
                api.is_down = True
                wait_for(lambda: "Going on with those that are known" in log.read_text(), "message about the API")
                api.is_down = False
                step = api.published()["step"]
                wait_for(lambda: says() == "running" and api.published()["step"] > step, "steps after the API was away")
                api.request(STOP)
                assert driver.wait(60) == 0, log.read_text()
            assert api.published()["state"] == "stopped"
            assert api.replicas == {f"{JOB}-worker": 0, f"{JOB}-server": 0}
            step = api.published()["step"]
            assert max(checkpoint_steps(Folder.open(run))) == step  # all have saved
            names = [
                json.loads(line)["event"] for line in api.maps[f"{JOB}-status"]["data"]["events.jsonl"].splitlines()
            ]
            assert names[0] == "driver_started"
            assert names[-1] == "stopped"
            assert "all_restarted" not in names
            # The rights of its Role, and no other
            assert set(api.calls) == {
                ("list", "pods"),
                ("get", f"configmaps/{JOB}"),
                ("get", f"configmaps/{JOB}-status"),
                ("patch", f"configmaps/{JOB}-status"),
                ("patch", f"statefulsets/scale/{JOB}-worker"),
                ("patch", f"statefulsets/scale/{JOB}-server"),
            }

            # The node of the driver's pod died before its end was known: another one is started for it
            api.replicas[f"{JOB}-server"] = 1
            with a_driver(api, log, *flags, pods={HOST: address}) as another:
                assert another.wait(60) == 0
            assert "The run is stopped already; esmm resume nightly" in log.read_text()
            assert api.replicas[f"{JOB}-server"] == 0
            assert api.published()["step"] == step
