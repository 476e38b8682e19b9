"""The client of one file against a real server: in an environment without any package, and beside TensorFlow alone."""

import json
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from esmm_dist.inference.export import ExportConfig, export
from esmm_dist.progress import NoProgress
from esmm_dist.serving.client import esmm_client
from esmm_dist.serving.client.esmm_client import EsmmClient, RequestRefusedError
from tests.support.secret_files import write_secret
from tests.support.serve_process import serve_process
from tests.support.shop_run import train_shop_run

pytestmark = pytest.mark.timeout(300)

CLIENT = Path(esmm_client.__file__)
TOKEN = "a long text that nobody guesses"
SHOWN_AT = "2024-03-30T18:30:00+01:00"
SHORT = {
    "user_id": "u3",
    "gender": "f",
    "age": 25.5,
    "history": ["i1", "i3", "unheard"],
    "interests": ["a", "b"],
    "interests_weights": [0.5, 2.0],
    "shown_at": SHOWN_AT,
    "candidates": [
        {"item": "i3", "price": 0.7, "views": 3, "category": "ø"},
        {"item": "never seen", "price": 1e9, "views": 0, "category": "1"},
        {"item": "i5", "price": 2.5, "views": 12, "category": None},
    ],
}
COLUMNS = {
    "user_id": ["u3"],
    "gender": ["f"],
    "age": [25.5],
    "history": ["i1", "i3", "unheard"],
    "history_lengths": [3],
    "interests": ["a", "b"],
    "interests_lengths": [2],
    "interests_weights": [0.5, 2.0],
    "shown_at": [SHOWN_AT] * 3,
    "item": ["i3", "never seen", "i5"],
    "price": [0.7, 1e9, 2.5],
    "views": [3.0, 0.0, 12.0],
    "category": ["ø", "1", ""],
    "impressions_per_group": [3],
}
"""The same request, as inputs of the signature ``values``."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one version of a model of the shop log, and beside it a file with a token."""
    folder = tmp_path_factory.mktemp("client")
    export(ExportConfig(run=str(train_shop_run(folder)), out=folder / "models/1"), NoProgress())
    write_secret(folder / "token", TOKEN)
    return folder / "models"


@pytest.fixture(scope="module")
def url(models: Path) -> Iterator[str]:
    with serve_process(models, "--token-file", str(models.parent / "token")) as server:
        yield f"http://{server.address}"


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Python in an environment of its own that has no package."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    python = str(folder / "bin/python")
    done = subprocess.run([python, "-I", "-c", "import numpy"], capture_output=True, text=True, check=False)
    assert "No module named 'numpy'" in done.stderr
    return python


def test_it_asks_from_an_environment_without_any_package(url: str, models: Path, bare_python: str):
    line = [bare_python, "-I", str(CLIENT), url, "--token-file", str(models.parent / "token"), "--ask"]
    done = subprocess.run([*line, json.dumps(SHORT)], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert {name: len(scores) for name, scores in answer["scores"].items()} == {"pctr": 3, "pcvr": 3, "pctcvr": 3}
    for pctr, pcvr, pctcvr in zip(*answer["scores"].values(), strict=True):
        assert 0 < pctr < 1
        assert pctcvr == pytest.approx(pctr * pcvr, rel=1e-5)
    assert answer["unknown_ids"].items() >= {"history": 1, "item": 1}.items()
    assert (answer["version"], answer["step"]) == ("1", json.loads(about(models))["step"])
    wrong = subprocess.run([*line, '{"user_idd": "u3"}'], capture_output=True, text=True, check=False, cwd="/")
    assert wrong.returncode == 1
    assert "answers 400: " in wrong.stderr


def test_the_exports_own_copy_finds_every_golden_answer_and_says_what_differs(url: str, models: Path, bare_python: str):
    assets = models / "1/assets.extra"
    line = [bare_python, "-I", str(assets / "esmm_client.py"), url, "--token-file", str(models.parent / "token")]
    golden = json.loads((assets / "golden.json").read_text())
    assert {each["form"] for each in golden["requests"]} == {"short", "values", "features", "records"}
    done = subprocess.run(
        [*line, "--golden", str(assets / "golden.json")], capture_output=True, text=True, check=False, cwd="/"
    )
    assert (done.returncode, done.stdout) == (0, f"{len(golden['requests'])} requests, 0 differences\n"), done.stderr
    [first] = [each for each in golden["requests"] if each["form"] == "values"][:1]
    first["answer"]["outputs"]["pctr"][0] *= 1.00001
    changed = models.parent / "changed.json"
    changed.write_text(json.dumps(golden))
    done = subprocess.run([*line, "--golden", str(changed)], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 1
    assert f"{first['name']} (values): outputs.pctr[0] is " in done.stdout


def about(models: Path) -> str:
    return (models / "1/assets.extra/esmm.json").read_text()


def test_both_forms_of_a_request_get_the_same_scores_and_several_users_a_list_of_them(url: str):
    with EsmmClient(url, token=TOKEN) as client:
        alone = client.score(SHORT)
        outputs = client.predict(COLUMNS)
        both = client.score([SHORT, {**SHORT, "candidates": SHORT["candidates"][:1]}])  # type: ignore[index]
        assert client.status()["model_version_status"][0]["state"] == "AVAILABLE"
        assert "values" in client.metadata()["metadata"]["signature_def"]["signature_def"]
    assert {name: pytest.approx(scores, rel=1e-6) for name, scores in alone.scores.items()} == outputs
    assert [len(user["pctr"]) for user in both.scores] == [3, 1]
    assert both.scores[0]["pctcvr"] == pytest.approx(alone.scores["pctcvr"], rel=1e-6)
    with EsmmClient(url) as stranger, pytest.raises(RequestRefusedError, match="answers 401: .*Give the token of"):
        stranger.score(SHORT)


TENSORFLOW_ALONE = """
import importlib.abc, json, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"esmm_dist", "launcher", "tensorflow_recommenders_addons", "horovod"}:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocked())
model, client_folder, url, token, columns, short = sys.argv[1:]
sys.path.insert(0, client_folder)
import numpy as np
import tensorflow as tf
from esmm_client import EsmmClient

score = tf.saved_model.load(model).signatures["values"]
types = {name: spec.dtype for name, spec in score.structured_input_signature[1].items()}
given = {name: tf.constant(value, types[name]) for name, value in json.loads(columns).items()}
expected = {name: column.numpy() for name, column in score(**given).items()}
with EsmmClient(url, token=token) as client:
    found = [client.score(json.loads(short)).scores]
    found.append(client.predict({name: value.numpy() for name, value in given.items()}))  # arrays, texts as bytes
for columns in found:
    assert columns.keys() == expected.keys(), columns.keys()
    for name, column in expected.items():
        np.testing.assert_allclose(columns[name], column, rtol=1e-6, atol=0)
print("equal")
"""


def test_beside_tensorflow_alone_its_answers_are_those_of_the_saved_model(url: str, models: Path):
    line = [sys.executable, "-I", "-c", TENSORFLOW_ALONE, str(models / "1"), str(CLIENT.parent), url, TOKEN]
    done = subprocess.run(
        [*line, json.dumps(COLUMNS), json.dumps(SHORT)], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "equal"
