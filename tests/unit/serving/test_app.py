import pytest

from tests.support.scoring_server import running_server
from tests.support.stand_in_model import StandInScorer, stand_in_version


@pytest.fixture(scope="module")
def server():
    with running_server(stand_in_version(StandInScorer())) as running:
        yield running


def test_a_request_is_answered(server):
    reply = server.score({"candidates": [0.5, 0.25], "unknown": {"item": 2}})
    assert reply.json == {
        "version": "3",
        "step": 7,
        "scores": {"pctr": [0.5, 0.25], "pcvr": [0.25, 0.125], "pctcvr": [0.125, 0.03125]},
        "unknown_ids": {"item": 2},
    }
    assert reply.status == 200
    assert reply.headers["X-Esmm-Version"] == "3"
    assert reply.headers["X-Esmm-Unknown-Ids"] == "item=2"
    assert reply.headers["Content-Type"] == "application/json"
