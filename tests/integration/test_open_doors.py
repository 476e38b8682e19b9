"""What a stranger on this machine gets from the processes of a training: nothing, and none of his pickles is loaded."""

import base64
import contextlib
import http.client
import json
import os
import pickle
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from esmm_dist.ranks.rendezvous.client import RendezvousClient
from esmm_dist.ranks.rendezvous.signing import PLACE, RendezvousPlace
from launcher.agent.http_server import AgentServer
from launcher.agent.status import AgentStatus, StopMode
from tests.support.agent_process import TOKEN, wait_for
from tests.support.elastic_run import elastic_run
from tests.support.secret_files import write_secret
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(300)


class Trap:
    """Whoever unpickles it makes a file."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._marker,)


class ReadyAgent:
    """An agent whose worker is always ready, and of whose start nothing follows."""

    def __init__(self) -> None:
        self.started: dict[str, str] = {}
        self.draining = False

    def status(self, after: int = 0) -> AgentStatus:
        return AgentStatus(
            name="worker-0",
            pid=1,
            worker_pid=2,
            state="running" if self.started else "ready",
            draining=False,
            id=1 if self.started else None,
            running=bool(self.started),
            exit_code=None,
            killed_by=None,
            error=None,
            exit_status_of_error=None,
            warm_error=None,
            beat_age_s=0.1,
        )

    def status_was_read(self, status: AgentStatus) -> None:
        pass

    def start(self, environment: Mapping[str, str]) -> int:
        self.started.update(environment)
        return 1

    def stop(self, run_id: int, how: StopMode, reason: str) -> bool:
        return False


@contextlib.contextmanager
def a_driver(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], RendezvousPlace, dict[str, str]]]:
    """Run a driver up to where its one worker should meet the others; yields it, the rendezvous, the environment."""
    agent = ReadyAgent()
    with AgentServer(agent, bind="127.0.0.1:0", token=TOKEN) as server, (folder / "log").open("wb") as log:
        (folder / "agents").write_text(json.dumps({"wanted": 1, "agents": {"worker-0": server.address}}))
        line = [sys.executable, "-P", "-m", "launcher", "driver", "--run", folder / "run", "--servers", "127.0.0.1:1"]
        line += ["--agents-file", folder / "agents", "--token-file", write_secret(folder / "token", TOKEN)]
        driver = subprocess.Popen(list(map(str, line)), stdout=log, stderr=log)
        try:
            wait_for(lambda: agent.started or driver.poll() is not None, "start of the worker")
            assert driver.poll() is None, (folder / "log").read_text()
            yield driver, RendezvousPlace.read(agent.started[PLACE]), agent.started
        finally:
            driver.kill()
            driver.wait()


def put(host: str, port: int, path: str, body: bytes) -> int:
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        connection.request("PUT", path, body)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_driver_loads_no_pickle_whoever_puts_it_and_answers_only_who_has_the_token(tmp_path):
    marker = tmp_path / "unpickled"
    trap = base64.b64encode(pickle.dumps((Trap(marker), b"key")))  # as Horovod's workers put (addresses, key)
    with a_driver(tmp_path) as (driver, place, environment):
        name = f"{environment['HOROVOD_HOSTNAME']}:{environment['HOROVOD_LOCAL_RANK']}"
        assert not {"HOROVOD_GLOO_RENDEZVOUS_ADDR", "HOROVOD_GLOO_RENDEZVOUS_PORT"} & set(environment)
        paths = [f"/worker_addresses/{name}", f"/rank_and_size/{name}", "/global/0", f"/joined/{name}"]
        assert [put(place.host, place.port, path, trap) for path in paths] == [403] * 4
        client = RendezvousClient(place, TOKEN)
        assert client.call("PUT", f"/worker_addresses/{name}", trap).status == 200  # of the job's own: kept as bytes
        assert client.call("GET", f"/worker_addresses/{name}").body == trap
        assert client.call("PUT", f"/joined/{name}", trap).status == 200
        assert driver.poll() is None
    assert not marker.exists()


def attack(address: str, port: int, payloads: list[bytes]) -> list[bytes]:
    """Send each payload over a connection of its own; return what came back."""
    found = []
    for payload in payloads:
        with contextlib.suppress(ConnectionError, TimeoutError), socket.create_connection((address, port), 5) as raw:
            raw.settimeout(5)
            raw.sendall(payload)
            raw.shutdown(socket.SHUT_WR)
            found.append(raw.recv(4096))
    return found


@pytest.mark.slow
def test_no_process_of_an_elastic_training_listens_to_a_stranger(tmp_path):
    """Every port that any of them listens on is of the loopback interface, and answers a stranger with a refusal."""
    data, run_folder, marker = tmp_path / "data", tmp_path / "run", tmp_path / "unpickled"
    write_dataset(data, {"train": tiny_groups(640)})
    pickled = pickle.dumps(Trap(marker))
    forged = os.urandom(32) + struct.pack("i", len(pickled)) + pickled  # of Horovod's services: HMAC, length, pickle
    encoded = base64.b64encode(pickled)
    requests = [
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(encoded)}\r\n\r\n".encode() + encoded
        for method, path in (("PUT", "/worker_addresses/worker-0.0:0"), ("POST", "/start"), ("GET", "/global/0"))
    ]
    line = ["--workers", "2", "--min-workers", "1", "--servers", "1", "--", "train", "--data", str(data)]
    line += ["--run", str(run_folder), "--global-batch-records", "64", "--epochs", "100000", "--embedding-dim", "4"]
    with elastic_run(run_folder, line, log=tmp_path / "log") as run:
        run.wait_for_ranks(2)
        listening = {
            (name, connection.laddr)
            for name, process in run.processes().items()
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert {name for name, _ in listening} == {
            *("server 0", "driver", "agent worker-0", "agent worker-1", "worker-0", "worker-1")
        }
        for name, address in listening:
            assert address.ip.removeprefix("::ffff:") == "127.0.0.1", (name, address)
            for answer in attack("127.0.0.1", address.port, [forged, pickled, *requests]):
                assert b" 200 " not in answer, (name, answer)
        step = run.status().step
        run.wait_for_step(step + 5)
        assert run.status().restarts == {}
    assert not marker.exists()
