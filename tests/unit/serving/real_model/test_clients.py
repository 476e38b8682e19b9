"""Clients that were written for TensorFlow Serving's REST interface, and not for this server.

``kserve_client/N.http`` are the bytes of requests that ``kserve.InferenceRESTClient`` (kserve 0.21.0, httpx 0.28.1,
``RESTConfig(protocol="v1")``) sent to this server through a proxy that wrote them down: ``infer`` with columns, with
rows and a header of its own, without instances, of another model, and ``is_model_ready``. The client read the answers
as is checked here. It brings 450 MB of packages, so it is not installed for tests.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.scoring_server import Reply, RunningServer

REQUESTS = Path(__file__).parent / "kserve_client"


def replayed(server: RunningServer, numbers: list[int]) -> list[Reply]:
    """Send recorded requests over one connection, as the client does."""
    replies = []
    with server.connect() as connection:
        for number in numbers:
            connection.sendall((REQUESTS / f"{number}.http").read_bytes())
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += connection.recv(65536)
            head, _, body = answer.partition(b"\r\n\r\n")
            status, *lines = head.decode().split("\r\n")
            headers: Any = dict(line.split(": ", 1) for line in lines)
            while len(body) < int(headers["content-length"]):
                body += connection.recv(65536)
            replies.append(Reply(status=int(status.split()[1]), headers=headers, body=body))
    return replies


def test_the_client_of_kserve_reads_the_answers(server):
    columns, rows, without, other, status = replayed(server, [1, 2, 3, 4, 5])
    # It reads JSON, and the error of a refusal only where the type is this one to the letter
    assert {reply.headers["content-type"] for reply in (columns, rows, without, other, status)} == {"application/json"}
    assert columns.status == rows.status == status.status == 200
    outputs = columns.json["outputs"]
    assert {name: len(column) for name, column in outputs.items()} == {"pctr": 2, "pcvr": 2, "pctcvr": 2}
    # The row is the first candidate, with the user's tag that the model knows
    assert rows.json["predictions"] == [pytest.approx({name: column[0] for name, column in outputs.items()}, rel=1e-6)]
    assert columns.headers["x-esmm-unknown-ids"] == "tags=1, item x age=2"
    assert (without.status, without.error) == (400, "JSON Value: [] No values in 'instances' array")
    assert (other.status, other.error.split(".")[0]) == (404, "Servable not found for request: Latest(half)")
    assert status.json["model_version_status"][0]["state"] == "AVAILABLE"


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Type: application/x-www-form-urlencoded\r\n",  # curl -d, as TensorFlow Serving's documentation asks
        "",  # requests.post(url, data=json.dumps(...)), as its tutorials ask
        "Content-Type: application/json; charset=utf-8\r\n",
    ],
)
def test_what_the_documentation_of_tensorflow_serving_sends_is_answered(server, headers: str):
    body = json.dumps({"signature_name": "features", "inputs": "x"}).encode()
    head = f"POST /v1/models/esmm:predict HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}"
    with server.connect() as connection:
        connection.sendall(head.encode() + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"inputs is a plain value/list" in answer  # the body was read
