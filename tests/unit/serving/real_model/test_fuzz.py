"""Requests that are damaged or made up: never an error of the server, always JSON."""

import contextlib
import copy
import http.client
import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.flat_model import FEATURES, VALUES
from tests.support.scoring_server import ask_over

USER = {
    "user_id": "u1",
    "age": 20,
    "tags": ["t1", "zz"],
    "tags_weights": [0.5, 1],
    "candidates": [{"item": "i1", "price": 3.5}, {"item": "i99"}],
}
WHOLE = [
    ("/v1/score", USER),
    ("/v1/score", [USER, {"candidates": []}]),
    ("/v1/models/esmm:predict", {"signature_name": "values", "inputs": VALUES}),
    ("/v1/models/esmm:predict", {"signature_name": "features", "inputs": FEATURES}),
    ("/v1/models/esmm:predict", {"inputs": {"examples": [{"b64": "CgA="}]}}),
    ("/v1/models/esmm:predict", {"instances": [{"b64": "CgA="}]}),
]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([-1, 0, 1, 2, 3, 2**31, 2**62, 2**63, -(2**63)]),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["u1", "i1", "candidates", "b64", "NaN", ""]),
    st.just([]),
    st.just({}),
    st.lists(st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=3)), max_size=4),
    st.dictionaries(st.sampled_from(["b64", "item", "candidates", "x"]), st.text(max_size=4), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where in a JSON value there is one."""
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a request in which one to three places hold something else, or nothing, or stand twice."""
    path, whole = draw(st.sampled_from(WHOLE))
    value = {"": copy.deepcopy(whole)}
    for _ in range(draw(st.integers(1, 3))):
        *outer, key = draw(st.sampled_from(places(value)[1:]))
        holder: Any = value
        for each in outer:
            holder = holder[each]
        how = draw(st.sampled_from(["replace", "remove", "repeat"]))
        if how == "remove" and (outer or isinstance(holder, list)):
            del holder[key]
        elif how == "repeat" and isinstance(holder, list):
            holder.append(holder[key])
        else:
            holder[key] = draw(ODD)
    text = json.dumps(value[""]).encode()
    if draw(st.integers(0, 9)) == 0:  # and in its bytes
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.binary(max_size=3)) + text[at + draw(st.integers(0, 3)) :]
    return path, text


@pytest.fixture(scope="module")
def connection(server):
    with contextlib.closing(http.client.HTTPConnection(server.host, server.port, timeout=30)) as opened:
        yield opened


def check(connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
    reply = ask_over(connection, "POST", path, body)
    assert reply.status in (200, 400), (reply.status, body)
    if reply.status == 400:
        assert reply.error, body
        assert "Traceback" not in reply.error
        assert "\n" not in reply.error
    else:
        assert reply.json


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(request=damaged())
def test_a_damaged_request_is_answered_or_refused_in_json(connection, request):
    check(connection, *request)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(path=st.sampled_from(["/v1/score", "/v1/models/esmm:predict"]), body=st.binary(max_size=60))
def test_any_bytes_are_refused_in_json(connection, path: str, body: bytes):
    check(connection, path, body)


DEEP = b"[" * 1_000 + b"]" * 1_000
"""As deep as JSON may be here, nearly."""


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/score", DEEP),
        ("/v1/score", b'{"candidates": %s}' % DEEP),
        ("/v1/score", b'{"user_id": %s, "candidates": [{}]}' % DEEP),
        ("/v1/score", b'{"tags": [%s], "candidates": [{}]}' % DEEP),
        ("/v1/score", b'{"age": %s, "candidates": [{}]}' % DEEP.replace(b"[]", b"[NaN]")),
        ("/v1/models/esmm:predict", DEEP),
        ("/v1/models/esmm:predict", b'{"inputs": %s}' % DEEP),
        ("/v1/models/esmm:predict", b'{"inputs": {"examples": [{"b64": %s}]}}' % DEEP),
        ("/v1/models/esmm:predict", b'{"instances": [{"a": %s}]}' % DEEP),
        ("/v1/models/esmm:predict", b'{"signature_name": %s}' % DEEP),
    ],
)
def test_deep_values_are_refused_without_a_word_of_all_their_levels(connection, path: str, body: bytes):
    reply = ask_over(connection, "POST", path, body)
    assert (reply.status, len(reply.error) < 500) == (400, True)
