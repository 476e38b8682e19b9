import contextlib
import http.client
import json
import logging
import re
import threading

import pytest

from tests.support.scoring_server import ask_over, read_all, running_server, wait_for
from tests.support.secret_files import write_secret
from tests.support.stand_in_model import OneVersion, StandInScorer, stand_in_version

TOKEN = "a-token-of-some-length"
ONE = {"candidates": [0.5]}
LIMITS = {"max_body_bytes": 2000, "max_impressions": 5, "max_users": 3, "max_ids": 4}


@pytest.fixture(scope="module")
def server():
    with running_server(stand_in_version(StandInScorer()), **LIMITS) as running:
        yield running


def test_a_request_is_answered_with_scores_version_and_unknown_ids(server):
    reply = server.score({"candidates": [0.5, 0.25], "unknown": {"item": 2, "a, b=ü": 1}})
    assert reply.json == {
        "version": "3",
        "step": 7,
        "scores": {"pctr": [0.5, 0.25], "pcvr": [0.25, 0.125], "pctcvr": [0.125, 0.03125]},
        "unknown_ids": {"item": 2, "a, b=ü": 1},
    }
    assert reply.status == 200
    assert reply.headers["X-Esmm-Version"] == "3"
    assert reply.headers["X-Esmm-Unknown-Ids"] == "item=2, a_ b__=1"
    assert reply.headers["Content-Type"] == "application/json"


def test_several_users_get_their_scores_each(server):
    reply = server.score([{"candidates": [0.5, 0.25]}, {"candidates": []}, {"candidates": [0.125]}])
    assert [each["pctr"] for each in reply.json["scores"]] == [[0.5, 0.25], [], [0.125]]
    assert reply.headers["X-Esmm-Unknown-Ids"] is None


@pytest.mark.parametrize("path", ["/v1/models/esmm:score", "/v1/models/esmm/versions/3:score", "/V1/Models/esmm:SCORE"])
def test_the_short_form_has_a_path_of_the_model_too(server, path: str):
    assert server.ask("POST", path, ONE).json["scores"]["pctr"] == [0.5]


def test_health_and_readiness(server):
    assert server.ask("GET", "/healthz").json == {"status": "serving"}
    assert server.ask("GET", "/readyz").json == {"status": "ready", "version": "3"}
    assert server.ask("HEAD", "/readyz").body == b""


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("POST", "/v1/scores", 404, r"there is no '/v1/scores'. POST to /v1/score, /v1/models/esmm:predict"),
        ("GET", "/", 404, r"GET /v1/models/esmm, /v1/models/esmm/metadata, /healthz, /readyz or /metrics"),
        ("POST", "/v1/models/esmm/versions/x:predict", 404, r"there is no"),
        ("POST", "/v1/models/esmm:train", 404, r"there is no '/v1/models/esmm:train'"),
        ("GET", "/%00%ff", 404, r"there is no"),
        ("GET", "/v1/models/esmm/versions/%D9%A3", 404, r"there is no"),  # an Arabic 3
        ("GET", "/v1/score", 405, r"'/v1/score' has no GET: it has POST"),
        ("GET", "/v1/models/esmm:predict", 405, r"has no GET: it has POST"),
        ("OPTIONS", "/v1/score", 405, r"has no OPTIONS: it has POST"),
        ("DELETE", "/v1/models/esmm", 405, r"has no DELETE: it has GET, HEAD"),
        ("POST", "/healthz", 405, r"has no POST"),
        ("GET", "/v1/models/half", 404, r"^Could not find any versions of model half. The model is esmm$"),
        ("GET", "/v1/models/esmm/versions/9", 404, r"^Could not find version 9 of model esmm. The version that"),
        ("POST", "/v1/models/half:predict", 404, r"^Servable not found for request: Latest\(half\). The model is"),
        ("POST", "/v1/models/esmm/versions/9:score", 404, r"^Servable not found for request: Specific\(esmm, 9\)"),
        ("POST", "/v1/models/esmm/labels/canary:predict", 400, r"^Unrecognized servable version label: canary"),
        ("POST", "/v1/models/esmm:classify", 400, r"The model has no signature to classify by. POST to :predict"),
        ("POST", "/v1/models/esmm:regress", 400, r"The model has no signature to regress by"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(server, method: str, path: str, status: int, text: str):
    reply = server.ask(method, path, {"instances": [1]} if method == "POST" else None)
    assert reply.status == status
    assert re.search(text, reply.error), reply.error
    if status == 405:
        assert reply.headers["Allow"] in reply.error


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "the body is not JSON: the body is empty"),
        (b"{", 400, "the body is not JSON: "),
        (b"[" * 1500, 400, "the body is not JSON: "),
        (b'{"candidates": "\\ud800"}', 400, "the body is not JSON: "),
        (b"x" * 2001, 413, "the body has 2001 bytes; the server takes 2000 (--max-body-bytes)"),
        ({"candidates": [0.5] * 6}, 400, "the request has 6 candidates; the server takes 5 a request"),
        ([{"candidates": [0.5] * 3}] * 2, 400, "the request has 6 candidates"),
        ([{"candidates": [0.5]}] * 4, 400, "the request has 4 users; the server takes 3 a request (--max-users)"),
        ({"candidates": [0.5] * 5}, 400, "the request has 5 ids; the server takes 4 a request (--max-ids)"),
        ({}, 400, "candidates: there are none"),
    ],
)
def test_what_is_wrong_with_a_body_is_said(server, body, status: int, text: str):
    reply = server.score(body)
    assert (reply.status, reply.error[: len(text)]) == (status, text)


def test_a_failure_is_logged_and_counted_and_says_nothing_of_the_inside(server, caplog):
    before = server.figures().get('esmm_serving_internal_errors_total{kind="RuntimeError"}', 0)
    with caplog.at_level(logging.ERROR, "esmm.serve"):
        reply = server.score({"candidates": [0.5], "break reading": 1})
    assert (reply.status, reply.error) == (500, "the server failed at this request; its log says why")
    assert "score failed: reading is broken" in caplog.text
    assert server.figures()['esmm_serving_internal_errors_total{kind="RuntimeError"}'] == before + 1
    assert server.score(ONE).status == 200


def test_a_body_in_chunks_is_read_without_a_length(server):
    with contextlib.closing(http.client.HTTPConnection(server.host, server.port, timeout=30)) as connection:
        parts = [b'{"cand', b'idates": [', b"0.25]}"]
        connection.request("POST", "/v1/score", iter(parts), {"Content-Type": "application/json"}, encode_chunked=True)
        assert json.loads(connection.getresponse().read())["scores"]["pctr"] == [0.25]


def test_a_body_in_chunks_is_cut_off_at_the_limit(server):
    with contextlib.closing(http.client.HTTPConnection(server.host, server.port, timeout=30)) as connection:
        parts = [b"x" * 1000] * 3
        connection.request("POST", "/v1/score", iter(parts), {"Content-Type": "application/json"}, encode_chunked=True)
        response = connection.getresponse()
        assert response.status == 413
        assert b"the body has more bytes; the server takes 2000" in response.read()
        # The connection is not lost with it
        assert ask_over(connection, "POST", "/v1/score", ONE).status == 200


def test_other_types_than_json_are_refused(server):
    assert server.score(b"{}", **{"Content-Type": "text/plain"}).status == 415
    reply = server.score(b"{}", **{"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert (reply.status, reply.headers["Accept-Encoding"]) == (415, "identity")


def test_a_token_is_asked_for_but_by_health(tmp_path):
    write_secret(tmp_path / "token", TOKEN.encode())
    with running_server(stand_in_version(StandInScorer()), token_file=tmp_path / "token") as server:
        for method, path in (("POST", "/v1/score"), ("GET", "/v1/models/esmm"), ("GET", "/metrics")):
            reply = server.ask(method, path, ONE if method == "POST" else None)
            assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert "no token that this server accepts" in reply.error
        assert server.ask("GET", "/healthz").status == 200
        assert server.ask("GET", "/readyz").status == 200
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert server.ask("POST", "/v1/score", ONE, right).status == 200
        assert b"esmm_serving_requests_total" in server.ask("GET", "/metrics", None, right).body


def test_without_a_version_nothing_is_ready():
    with running_server(OneVersion(None)) as server:
        assert (server.ask("GET", "/readyz").status, server.ask("GET", "/readyz").error) == (
            503,
            "no version is loaded",
        )
        assert server.ask("GET", "/healthz").status == 200
        reply = server.score(ONE)
        assert (reply.status, reply.error, reply.headers["Retry-After"]) == (503, "no version is loaded", "1")
        assert server.ask("GET", "/v1/models/esmm").status == 503


def test_a_request_that_takes_too_long_is_answered_with_504_and_those_behind_it_are_not_computed():
    scorer = StandInScorer()
    with running_server(stand_in_version(scorer), timeout_ms=200) as server:
        scorer.go_on.clear()
        replies = []
        threads = [threading.Thread(target=lambda: replies.append(server.score(ONE))) for _ in range(2)]
        threads[0].start()
        assert scorer.begun.acquire(timeout=30)
        threads[1].start()  # which waits behind the first, not with it
        for thread in threads:
            thread.join(30)
        assert [reply.status for reply in replies] == [504, 504]
        assert replies[0].error.startswith("the scores were not ready within 200 ms (--timeout-ms).")
        scorer.go_on.set()
        assert server.score(ONE).status == 200
        assert scorer.batches == [[0.5], [0.5]]
        assert server.figures()['esmm_serving_dropped_total{reason="timeout"}'] == 1


def test_a_queue_that_is_full_refuses_at_once():
    scorer = StandInScorer()
    with running_server(stand_in_version(scorer), max_waiting=2) as server:
        scorer.go_on.clear()
        replies = []
        threads = [threading.Thread(target=lambda: replies.append(server.score(ONE))) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_for(lambda: server.figures()["esmm_serving_in_flight_requests"] == 2)
        reply = server.score(ONE)
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        assert reply.error.startswith("2 requests wait already (--max-waiting).")
        scorer.go_on.set()
        for thread in threads:
            thread.join(30)
        assert [each.status for each in replies] == [200, 200]
        assert server.figures()["esmm_serving_in_flight_requests"] == 0
        assert server.figures()['esmm_serving_dropped_total{reason="queue_full"}'] == 1


def test_a_request_whose_client_has_gone_is_not_computed():
    scorer = StandInScorer()
    with running_server(stand_in_version(scorer)) as server:
        scorer.go_on.clear()
        first = threading.Thread(target=server.score, args=(ONE,))
        first.start()
        assert scorer.begun.acquire(timeout=10)
        with server.connect() as connection:
            body = b'{"candidates": [0.25]}'
            connection.sendall(
                b"POST /v1/score HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            wait_for(lambda: server.figures()["esmm_serving_in_flight_requests"] == 2)
        wait_for(lambda: server.figures().get('esmm_serving_requests_total{path="score",status="499"}') == 1)
        scorer.go_on.set()
        first.join(30)
        assert server.score(ONE).status == 200
        assert scorer.batches == [[0.5], [0.5]]
        assert server.figures()['esmm_serving_dropped_total{reason="client_gone"}'] == 1


def test_a_body_that_does_not_arrive_is_answered_with_408():
    with (
        running_server(stand_in_version(StandInScorer()), upload_timeout_s=0.2) as server,
        server.connect() as connection,
    ):
        connection.sendall(b'POST /v1/score HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{"cand')
        answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b"connection: close" in answer.lower()
        assert b"the body did not arrive within 0.2 s (--upload-timeout-s)" in answer


def test_requests_are_counted_by_path_and_status(server):
    before = server.figures()
    server.score(ONE)
    server.ask("GET", "/nowhere")
    after = server.figures()
    for name in ('{path="score",status="200"}', '{path="other",status="404"}'):
        name = f"esmm_serving_requests_total{name}"
        assert after[name] == before.get(name, 0) + 1
    name = 'esmm_serving_request_duration_seconds_count{path="score"}'
    assert after[name] == before[name] + 1
