"""The client of one file: requests as they are sent, answers as they are read, and every error with its remedy.

Answers of a real server, without any package and with TensorFlow alone: tests/integration/test_client_of_one_file.py.
"""

import ast
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from esmm_dist.serving.client import esmm_client
from esmm_dist.serving.client.esmm_client import (
    EsmmClient,
    EsmmClientError,
    NoAnswerError,
    RequestRefusedError,
    TimedOutError,
    golden_differences,
    main,
)
from tests.support.certificates import Authority
from tests.unit.serving.client.scripted_server import CLOSE, SILENCE, answer, scripted_server

FILE = Path(esmm_client.__file__)
SCORES = {"version": "3", "step": 12, "scores": {"pctr": [0.5, 0.25]}, "unknown_ids": {"item_id": 1}}
ASKED = {"user_id": "u17", "candidates": [{"item_id": "i1"}, {"item_id": None}]}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """Pauses between tries; what is waited is looked at, not waited for."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


def test_the_file_imports_the_standard_library_alone_and_is_python_3_8():
    tree = ast.parse(FILE.read_text(), feature_version=(3, 8))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {each.name for node in imports if isinstance(node, ast.Import) for each in node.names}
    names |= {str(node.module) for node in imports if isinstance(node, ast.ImportFrom)}
    assert len(names) > 5
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_a_request_is_sent_as_json_with_the_token_and_its_answer_read():
    with scripted_server([answer(SCORES)]) as server, EsmmClient(server.url + "/", token=" secret\n") as client:
        found = client.score(ASKED)
    assert (found.version, found.step, found.scores, found.unknown_ids) == (
        *("3", 12, {"pctr": [0.5, 0.25]}, {"item_id": 1}),
    )
    [(line, headers, body)] = server.requests
    assert line == "POST /v1/models/esmm:score HTTP/1.1"
    assert body == ASKED
    assert headers["authorization"] == "Bearer secret"
    assert headers["content-type"] == "application/json"


def test_tensorflow_servings_forms_are_asked_with_bytes_as_base64_and_arrays_as_lists():
    script = [answer({"outputs": {"pctr": [0.5]}})] * 2 + [
        answer({"model_version_status": []}),
        answer({"metadata": 1}),
    ]
    with scripted_server(script) as server, EsmmClient(server.url + "/proxied", model="ads") as client:
        assert client.predict({"examples": [b"\x00a"]}, signature="serving_default") == {"pctr": [0.5]}
        columns = {"age": np.array([34.5]), "impressions_per_group": np.int64(1)}
        assert client.predict(columns, version=4) == {"pctr": [0.5]}
        assert client.status() == {"model_version_status": []}
        assert client.metadata() == {"metadata": 1}
    assert [line for line, _, _ in server.requests] == [
        "POST /proxied/v1/models/ads:predict HTTP/1.1",
        "POST /proxied/v1/models/ads/versions/4:predict HTTP/1.1",
        "GET /proxied/v1/models/ads HTTP/1.1",
        "GET /proxied/v1/models/ads/metadata HTTP/1.1",
    ]
    assert server.requests[0][2] == {"signature_name": "serving_default", "inputs": {"examples": [{"b64": "AGE="}]}}
    assert server.requests[1][2] == {"signature_name": "values", "inputs": {"age": [34.5], "impressions_per_group": 1}}
    assert server.connections == 1


def test_a_value_that_json_has_no_form_for_is_named():
    with pytest.raises(TypeError, match=r"\{1\} is a set\. Give texts, numbers, bytes, lists and None\."):
        EsmmClient("http://127.0.0.1:1").score({"user_id": {1}, "candidates": []})


def test_a_connection_is_kept_and_replaced_once_the_server_has_closed_it(short_waits):
    script = [
        answer(SCORES),
        answer(SCORES, then_close=True),
        answer(SCORES),
        answer(SCORES, headers="Connection: close\r\n"),
    ]
    with scripted_server([*script, answer(SCORES)]) as server, EsmmClient(server.url) as client:
        for connections in (1, 1, 2, 2, 3):
            assert client.score(ASKED).version == "3"
            assert server.connections == connections
    assert short_waits == []  # a connection that was closed while idle is no trouble of the server's


def test_a_server_that_is_busy_or_hangs_up_is_asked_again(short_waits):
    busy = answer({"error": "busy"}, 503)
    with scripted_server([CLOSE, busy, answer(SCORES)]) as server, EsmmClient(server.url) as client:
        assert client.score(ASKED).version == "3"
    assert len(server.requests) == 3
    assert short_waits == [0.05, 0.1]


def test_a_server_says_how_long_to_wait_within_reason(short_waits):
    script = [answer({}, 503, headers=f"Retry-After: {text}\r\n") for text in ("1", "3600")]
    with scripted_server([*script, answer(SCORES)]) as server, EsmmClient(server.url) as client:
        client.score(ASKED)
    assert short_waits == [1.0, 2.0]


def test_after_the_last_try_the_error_is_the_servers():
    script = [answer({"error": "busy"}, 503, headers="Retry-After: soon\r\n")] * 3
    with (
        scripted_server(script) as server,
        EsmmClient(server.url) as client,
        pytest.raises(NoAnswerError, match=r":score answers 503: busy") as raised,
    ):
        client.score(ASKED)
    assert raised.value.status == 503
    with scripted_server([CLOSE] * 3) as server, pytest.raises(NoAnswerError, match=r"Is it esmm serve, and does it"):
        EsmmClient(server.url).score(ASKED)
    assert len(server.requests) == 3


def test_what_takes_too_long_is_not_asked_again():
    with (
        scripted_server([SILENCE]) as server,
        EsmmClient(server.url, timeout_s=0.2) as client,
        pytest.raises(TimedOutError, match=r"did not answer within 0\.2 s\. Is it busy\? Give timeout_s more"),
    ):
        client.score(ASKED)
    assert len(server.requests) == 1


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(NoAnswerError, match=r"ConnectionRefusedError: .*Does esmm serve run there, on this port\?"):
        EsmmClient(url).score(ASKED)


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (400, {"error": "no field 'usr_id'"}, RequestRefusedError, "answers 400: no field 'usr_id'"),
        (
            401,
            {"error": "no token"},
            RequestRefusedError,
            "401: no token. Give the token of the server's --token-file.",
        ),
        (413, {"error": "too large"}, RequestRefusedError, "answers 413: too large"),
        (500, b"<html>", NoAnswerError, "answers 500: b'<html>'"),
        (200, b"hello", NoAnswerError, "answers 200: b'hello'"),
        (200, [1], NoAnswerError, r"answers what is not of esmm serve: [1]"),
        (200, {"scores": 1}, NoAnswerError, "answers what is not of esmm serve: {'scores': 1}"),
    ],
)
def test_an_answer_that_has_no_scores_is_an_error_with_what_the_server_says(status, body, kind, text):
    with (
        scripted_server([answer(body, status)]) as server,
        EsmmClient(server.url) as client,
        pytest.raises(kind) as raised,
    ):
        client.score(ASKED)
    assert text in str(raised.value)
    assert isinstance(raised.value, EsmmClientError)


def test_a_prediction_without_outputs_is_an_error():
    with (
        scripted_server([answer([1])]) as server,
        EsmmClient(server.url) as client,
        pytest.raises(NoAnswerError, match=r"is no prediction: \[1\]"),
    ):
        client.predict({})


@pytest.mark.parametrize("url", ["127.0.0.1:8501", "ftp://127.0.0.1", "http://"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match=rf"url is '{url}'. Give http://HOST:PORT or https://HOST:PORT"):
        EsmmClient(url)


def test_certificates_without_encryption_are_refused(tmp_path):
    with pytest.raises(ValueError, match="ca_file is given, but http://a is not encrypted"):
        EsmmClient("http://a", ca_file=str(tmp_path))


def test_with_tls_the_server_must_show_a_certificate_that_is_known(tmp_path, short_waits):
    authority = Authority(tmp_path)
    with scripted_server([answer(SCORES)], pair=authority.sign("server")) as server:
        with pytest.raises(NoAnswerError, match="Give ca_file the certificate that signed the server's"):
            EsmmClient(server.url).score(ASKED)
        with EsmmClient(server.url, ca_file=str(authority.cert)) as client:
            assert client.score(ASKED).version == "3"
    assert short_waits == []


def test_tls_with_a_server_that_does_not_speak_it_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer_in_plain_text() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(10_000)

        thread = threading.Thread(target=answer_in_plain_text)
        thread.start()
        with pytest.raises(NoAnswerError, match=r"Does the server speak TLS \(esmm serve --tls-cert\)\?"):
            EsmmClient(f"https://127.0.0.1:{listening.getsockname()[1]}").score(ASKED)
        thread.join()


GOLDEN = {
    "tolerance": 1e-6,
    "requests": [
        {
            "name": "two",
            "form": "short",
            "request": ASKED,
            "answer": {"scores": {"pctr": [0.5, 0.25]}, "unknown_ids": {"item_id": 1}},
        },
        {
            "name": "columns",
            "form": "values",
            "request": {"signature_name": "values", "inputs": {"item_id": ["i1"]}},
            "answer": {"outputs": {"pctr": [0.5]}},
        },
    ],
}


@pytest.mark.parametrize(
    ("short", "outputs", "expected"),
    [
        ({}, {"pctr": [0.5 + 4e-7]}, []),
        ({}, {"pctr": [0.5 + 6e-7]}, ["columns (values): outputs.pctr[0] is 0.5000006, not 0.5"]),
        ({}, {"pctr": [0.5, 0.5]}, ["columns (values): outputs.pctr is [0.5, 0.5], not [0.5]"]),
        ({}, {"pcvr": [0.5]}, [
            "columns (values): outputs.pctr is None, not [0.5]", "columns (values): outputs.pcvr is [0.5], not None"
        ]),
        ({"unknown_ids": {}}, {"pctr": [0.5]}, ["two (short): unknown_ids.item_id is None, not 1"]),
        ({"version": "4", "step": 13}, {"pctr": [0.5]}, []),
    ],
)  # fmt: skip
def test_golden_answers_are_compared_number_by_number(short, outputs, expected):
    script = [answer(SCORES | short), answer({"outputs": outputs})]
    with scripted_server(script) as server, EsmmClient(server.url) as client:
        assert list(golden_differences(client, GOLDEN)) == expected


def test_the_command_line_compares_and_says_by_its_status_what_it_found(tmp_path, capsys):
    (tmp_path / "golden.json").write_text(json.dumps(GOLDEN))
    line = ["--golden", str(tmp_path / "golden.json")]
    with scripted_server([answer(SCORES), answer({"outputs": {"pctr": [0.5]}})]) as server:
        assert main([server.url, *line]) == 0
    assert capsys.readouterr().out == "2 requests, 0 differences\n"
    with scripted_server([answer({"error": "no such field"}, 400), answer({"outputs": {"pctr": [1]}})]) as server:
        assert main([server.url, *line]) == 1
    out = capsys.readouterr().out
    assert "two (short): http" in out
    assert "answers 400: no such field\n" in out
    assert out.endswith("columns (values): outputs.pctr[0] is 1, not 0.5\n2 requests, 2 differences\n")


def test_the_command_line_asks_once_without_any_package(tmp_path):
    (tmp_path / "token").write_text("secret\n")
    with scripted_server([answer(SCORES), answer({"error": "why"}, 400)]) as server:
        line = [sys.executable, "-I", "-S", str(FILE), server.url, "--token-file", str(tmp_path / "token"), "--ask"]
        done = subprocess.run([*line, json.dumps(ASKED)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout) == SCORES
        done = subprocess.run([*line, "-"], input="{}", capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"esmm_client: {server.url}/v1/models/esmm:score answers 400: why\n"
    assert [headers["authorization"] for _, headers, _ in server.requests] == ["Bearer secret"] * 2
    for wrong, text in (("{", "Expecting property name"), ("{}", "url is 'nowhere'")):
        with pytest.raises(SystemExit) as raised:
            main(["nowhere", "--ask", wrong])
        assert raised.value.code == 2, text
