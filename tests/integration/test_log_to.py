"""``esmm train --log-to mlflow wandb``: a real MLflow server, and the files that Weights & Biases keeps offline."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.storage.folder import Folder
from esmm_dist.train.run_speed import read_speed
from tests.support.elastic_run import ESMM
from tests.support.tiny_dataset import tiny_groups, write_dataset

pytestmark = pytest.mark.timeout(900)
"""A server and a training that wait for one another's cores, where many processes share them."""

STEPS = 40
FLAGS = ("--global-batch-records", "16", "--epochs", "100", "--embedding-dim", "4", "--hidden-units", "8")
EVERY = ("--log-every-steps", "10", "--eval-every-steps", "20", "--no-baseline")


_WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # of conftest.py


class Server:
    """A real MLflow server, with its database in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        line = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        line += ["--artifacts-destination", str(folder / "artifacts"), "--workers", "1"]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*line, "--host", "127.0.0.1", "--port", str(self.port)],
                stdout=log,
                stderr=log,
                cwd=folder,
                env=environment(),
                start_new_session=True,
            )
        give_up = time.monotonic() + 600
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > give_up:
                self.kill()
                raise AssertionError((folder / "log").read_text())
            time.sleep(0.1)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        try:
            with _WITHOUT_PROXY.open(f"{self.uri}/health", timeout=5) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    def call(self, path: str, **body: Any) -> Any:
        """Return what the server's REST interface says, without MLflow's client."""
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(
            f"{self.uri}/api/2.0/mlflow/{path}", data, {"Content-Type": "application/json"}
        )
        with _WITHOUT_PROXY.open(request, timeout=30) as reply:
            return json.loads(reply.read())

    def history(self, run_id: str, name: str) -> dict[int, float]:
        """Return a metric's newest value by step."""
        key = urllib.parse.quote(name, safe="")
        found = self.call(f"metrics/get-history?run_id={run_id}&metric_key={key}")
        return {int(each["step"]): float(each["value"]) for each in found["metrics"]}

    def kill(self) -> None:
        """Kill the server with its workers; harmless when called twice."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()


def environment(**more: str) -> dict[str, str]:
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "WANDB_MODE": "offline"}
    quiet["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # else ten processes of its server, which nobody needs here
    return {**os.environ, **quiet, "no_proxy": "127.0.0.1", **more}


def train(*line: str | Path, folder: Path, uri: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ESMM, "train", *map(str, line)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment(MLFLOW_TRACKING_URI=uri, WANDB_DIR=str(folder)),
    )


def run_id_of(run: Path, tracker: str) -> str:
    run_id = json.loads((run / "trackers.json").read_text())[tracker]["run_id"]
    assert isinstance(run_id, str)
    return run_id


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("tracked")
    write_dataset(folder / "data", {"train": tiny_groups(320), "test": tiny_groups(60, seed=2, first_sample=5000)})
    return folder


@pytest.fixture(scope="module")
def server(folder) -> Iterator[Server]:
    server = Server(folder / "server")
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def run(folder: Path, server: Server) -> Path:
    """A run of 40 steps that has logged to both."""
    run = folder / "my-run"
    line: list[str | Path] = ["--data", folder / "data", "--run", run, *FLAGS, *EVERY, "--max-steps", str(STEPS)]
    done = train(*line, "--log-to", "mlflow", "wandb", "--log-experiment", "clicks", folder=folder, uri=server.uri)
    assert done.returncode == 0, done.stderr
    assert "did not reach" not in done.stderr, done.stderr
    return run


def losses_of(run: Path, name: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (run / "train_log.jsonl").read_text().splitlines()]
    return {line["step"]: line[name] for line in lines}


def assert_logged(server: Server, run: Path, run_id: str) -> None:
    for name in ("ctr_loss", "ctcvr_loss"):
        assert server.history(run_id, f"train/{name}") == pytest.approx(losses_of(run, name))
    for evaluation in json.loads((run / "metrics.json").read_text())["evaluations"]:
        for task, metrics in evaluation["metrics"].items():
            for figure in ("auc", "log_loss", "calibration"):
                found = server.history(run_id, f"test/{task}_{figure}")[evaluation["step"]]
                assert found == pytest.approx(metrics[figure])


def test_mlflow_has_what_the_files_of_the_run_have(server, run):
    run_id = run_id_of(run, "mlflow")
    assert_logged(server, run, run_id)
    found = server.call(f"runs/get?run_id={run_id}")["run"]
    assert (found["info"]["status"], found["info"]["run_name"]) == ("FINISHED", "my-run")
    experiment = server.call(f"experiments/get?experiment_id={found['info']['experiment_id']}")["experiment"]
    assert experiment["name"] == "clicks"
    params = {each["key"]: each["value"] for each in found["data"]["params"]}
    assert (params["embedding.embedding_dim"], params["model.hidden_units"]) == ("4", "[8]")
    speeds = server.history(run_id, "speed/impressions_per_second")
    for point in read_speed(Folder.open(run)):
        assert speeds[point.step] == pytest.approx(point.impressions / point.seconds, rel=1e-3)


def offline_history(folder: Path) -> list[dict[str, Any]]:
    """Return the lines that Weights & Biases has in its files."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    found = []
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        store = DataStore()
        store.open_for_scan(str(path))
        while (data := store.scan_data()) is not None:
            record = wandb_internal_pb2.Record.FromString(data)  # type: ignore[attr-defined]
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                found.append({"/".join(each.nested_key) or each.key: json.loads(each.value_json) for each in items})
        store._fp.close()  # type: ignore[union-attr]  # its own close writes
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of wandb's own modules
def test_weights_and_biases_has_what_the_files_of_the_run_have(folder, run):
    assert list(folder.glob(f"wandb/offline-run-*/run-{run_id_of(run, 'wandb')}.wandb"))
    lines = [line for line in offline_history(folder) if line["step"] <= STEPS]
    for name in ("ctr_loss", "ctcvr_loss"):
        found = {line["step"]: line[f"train/{name}"] for line in lines if f"train/{name}" in line}
        assert found == pytest.approx(losses_of(run, name))
    metrics = json.loads((run / "metrics.json").read_text())["newest"]["metrics"]
    found = {line["step"]: line["test/ctr_auc"] for line in lines if "test/ctr_auc" in line}
    assert found[STEPS] == pytest.approx(metrics["ctr"]["auc"])


@pytest.mark.slow
def test_a_run_that_goes_on_does_so_in_the_same_runs_of_the_services(folder, server, run):
    copy = folder / "longer"
    shutil.copytree(run, copy)
    ids = (copy / "trackers.json").read_text()
    done = train("--run", copy, "--max-steps", "60", folder=folder, uri=server.uri)
    assert done.returncode == 0, done.stderr
    assert (copy / "trackers.json").read_text() == ids
    assert_logged(server, copy, run_id_of(copy, "mlflow"))
    found = server.call(f"runs/get?run_id={run_id_of(copy, 'mlflow')}")["run"]
    tags = {each["key"]: each["value"] for each in found["data"]["tags"]}
    assert (found["info"]["status"], tags["resumed.max_steps"]) == ("FINISHED", "60")


@pytest.mark.slow
def test_a_server_that_is_killed_meanwhile_costs_its_points_and_one_line(folder):
    server = Server(folder / "killed server")
    run = folder / "robbed"
    line = ["--data", folder / "data", "--run", run, *FLAGS, *EVERY, "--max-steps", "2000", "--log-to", "mlflow"]
    process = subprocess.Popen(
        [*ESMM, "train", *map(str, line)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment(MLFLOW_TRACKING_URI=server.uri),
    )
    try:
        give_up = time.monotonic() + 600
        while not (run / "trackers.json").exists() and time.monotonic() < give_up and process.poll() is None:
            time.sleep(0.02)
        server.kill()
        _, err = process.communicate(timeout=600)
    finally:
        server.kill()
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    assert len([line for line in err.splitlines() if "of the log did not reach mlflow" in line]) == 1
    assert "2000" in (run / "train_log.jsonl").read_text().splitlines()[-1]


@pytest.mark.slow
def test_a_server_that_is_not_there_is_said_so_at_the_start_and_training_is_as_ever(folder, run):
    alone = folder / "alone"
    line = ["--data", folder / "data", "--run", alone, *FLAGS, *EVERY, "--max-steps", str(STEPS), "--log-to", "mlflow"]
    done = train(*line, folder=folder, uri="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert "Warning: mlflow cannot be logged to now" in done.stderr
    assert (alone / "train_log.jsonl").read_text() == (run / "train_log.jsonl").read_text()
