"""``esmm serve`` as real processes: versions that come while it is asked, workers that are killed, the end."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support.damage import flip_bit
from tests.support.serve_process import Asking, ServeProcess, serve_process, wait_until
from tests.support.served_versions import answer_of, brand_added, rows_of, write_answering

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("serve") / "models"
    folder.mkdir()
    write_answering(folder, "1", rows_of(1))
    return folder


@pytest.fixture(scope="module")
def server(models) -> Iterator[ServeProcess]:
    with serve_process(models, "--workers", "2") as running:
        yield running


@pytest.fixture
def newest(server, models) -> int:
    """The newest version, which answers."""
    number = max(int(path.name.partition(".")[0]) for path in models.iterdir())
    wait_until(lambda: {server.ask()[1]["version"] for _ in range(10)} == {str(number)}, lambda: server.log)
    return number


def test_each_request_is_answered_by_the_old_or_the_new_version_as_a_whole(server, models, newest):
    one, two, three = str(newest), str(newest + 1), str(newest + 2)
    before = rows_of(1)
    changed = {"main": {**before["main"], 17: before["main"][17] + 1}, "items": dict(before["items"])}
    del changed["items"][1400]
    asking = Asking(server.address)
    try:
        write_answering(models, f"{two}.delta", changed, bases=[models / one], step=20)
        server.wait_for(f"Version {two}.delta answers: step 20 of runs/a, 599 rows")
        write_answering(models, three, rows_of(3), networks=2, step=30, schema=brand_added())
        server.wait_for(f"Version {three} answers: step 30")
        server.wait_for(f"WARNING: version {three} differs from version {two}.delta in what clients send or get: new ")
        # Both workers answer with it once neither has files of the one before
        wait_until(lambda: _mapped_by(server, models / f"{two}.delta") == 0)
        (models / "current.json").write_text(json.dumps({"version": newest}))  # back
        server.wait_for(f"Version {one} answers", times=2)
        server.wait_for("in what clients send or get: inputs that are gone: brand. Requests with an input that is gone")
        wait_until(lambda: {server.ask()[1]["version"] for _ in range(10)} == {one})
    finally:
        asked = asking.end()
        (models / "current.json").unlink()
    assert asked.failed == []
    assert set(asked.answers) == {one, two, three}
    chains = {one: [one], two: [one, f"{two}.delta"], three: [three]}
    for version, answers in asked.answers.items():
        expected = answer_of([models / name for name in chains[version]])
        assert all(_equal(answer, expected) for answer in answers), version


def test_a_damaged_version_stays_out_and_is_taken_once_it_is_mended(server, models, newest):
    name = str(newest + 1)
    write_answering(models.parent, name, rows_of(4), step=40)
    rows = Path("served", "tables", "items-0000.rows.npy")
    whole = (models.parent / name / rows).read_bytes()
    flip_bit(models.parent / name / rows)
    (models.parent / name).rename(models / name)
    server.wait_for(f"Version {name} is refused, and version {newest}")
    assert rows.name in server.log
    assert {server.ask()[1]["version"] for _ in range(10)} == {str(newest)}
    (models / name / rows).write_bytes(whole)
    server.wait_for(f"Version {name} answers: step 40")
    assert server.log.count(f"Version {name} is refused") == 1


def test_a_version_whose_answers_are_not_its_golden_ones_stays_out(server, models, newest):
    name = str(newest + 1)
    write_answering(models.parent, name, rows_of(5), step=50)
    golden = models.parent / name / "assets.extra" / "golden.json"
    content = json.loads(golden.read_text())
    content["requests"][0]["answer"]["scores"]["pctr"][2] *= 1.001
    golden.write_text(json.dumps(content))
    (models.parent / name).rename(models / name)
    server.wait_for(f"Version {name} is refused, and version {newest}")
    assert "request 'four': pctr: score 2 is " in server.log
    shutil.rmtree(models / name)
    models.rename(models.parent / "away")
    server.wait_for("holds no version that can be served")
    said = next(line for line in server.log.splitlines() if "holds no version" in line)
    assert said.endswith(f" {newest} stays.")
    (models.parent / "away").rename(models)
    assert {server.ask()[1]["version"] for _ in range(10)} == {str(newest)}


def test_a_worker_that_is_killed_is_started_again_while_the_others_answer(server, models, newest):
    wait_until(lambda: len(server.workers()) == 2)
    name = str(newest + 1)
    asking = Asking(server.address)
    killed = server.workers()[0]
    killed.kill()
    server.wait_for(f"(process {killed.pid}) was killed by SIGKILL")
    write_answering(models, name, rows_of(6), step=60)
    server.wait_for(f"Version {name} answers: step 60")
    wait_until(lambda: _mapped_by(server, models / name) == 2)
    asked = asking.end()
    # Connections that the killed process had just taken break; nobody else's do, and new ones are taken by the other
    assert len(asked.failed) <= 3
    assert {each.partition("(")[0] for each in asked.failed} <= {"RemoteDisconnected", "ConnectionResetError"}
    assert name in asked.answers
    # What was mapped before is let go of once its last request is answered
    wait_until(lambda: _mapped_by(server, models / str(newest)) == 0)


@pytest.mark.slow
def test_requests_that_have_begun_are_answered_after_sigterm(models):
    with serve_process(models, "--workers", "2", "--json") as server:
        wait_until(lambda: len(server.workers()) == 2)
        asking = Asking(server.address)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        asked = asking.end()
        assert asked.requests > 0
        # After the drain the port is closed; a connection that nobody had taken at that moment is reset
        kinds = [each.partition("(")[0] for each in asked.failed]
        assert set(kinds) <= {"ConnectionRefusedError", "ConnectionResetError"}
        assert kinds.count("ConnectionResetError") <= 3
        result = json.loads(server.log.splitlines()[-1])
        assert (result["stopped_by"], result["versions_taken"], result["restarts"]) == ("SIGTERM", 1, 0)


def test_workers_end_with_the_process_that_supervises_them(server, tmp_path):
    workers = server.workers()
    assert len(workers) == 2
    server.process.kill()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    port = server.address.rpartition(":")[2]
    with serve_process(tmp_path / "none", "--port", port, ready=False) as again:  # the port is free
        again.wait_for("holds no version that can be served")
        wait_until(lambda: "holds no version" in again.get("/readyz")[1].get("error", ""))
        assert again.get("/readyz")[0] == 503
        assert again.get("/healthz")[0] == 200
        refused = f"port {port} on 127.0.0.1 is refused: Address already in use"
        with pytest.raises(AssertionError, match=refused), serve_process(tmp_path, "--port", port):
            pass


def _equal(found, expected) -> bool:
    return all(np.allclose(found[name], column, rtol=1e-6, atol=0) for name, column in expected.items())


def _mapped_by(server: ServeProcess, version: Path) -> int:
    """Return how many workers have mapped files of a version."""
    return sum(any(each.path.startswith(str(version)) for each in worker.memory_maps()) for worker in server.workers())
