"""The short form over sockets, with a real model."""

import json

import pytest

from tests.support.flat_model import VALUES
from tests.support.scoring_server import wait_for

USERS = [
    {
        "user_id": "u1",
        "age": 20,
        "tags": ["t1", "t2", "zz"],
        "tags_weights": [0.5, 1, 2],
        "candidates": [{"item": "i1", "price": 3}, {"item": "i2", "price": 30}],
    },
    {"user_id": "new", "age": 17.5, "candidates": [{"item": "i99", "price": 7}]},
]


def test_the_short_form_scores_what_the_columns_score(server):
    columns = server.ask("POST", "/v1/models/esmm:predict", {"signature_name": "values", "inputs": VALUES})
    reply = server.score(USERS)
    assert reply.status == 200, reply.body
    assert list(reply.json["scores"][0]) == ["pctr", "pcvr", "pctcvr"]
    for name, column in columns.json["outputs"].items():
        assert [score for user in reply.json["scores"] for score in user[name]] == pytest.approx(column, rel=1e-6)
    assert reply.json["unknown_ids"] == {"user id": 1, "tags": 1, "item": 1, "item x age": 3}
    assert reply.headers["X-Esmm-Unknown-Ids"] == "user id=1, tags=1, item=1, item x age=3"
    assert columns.headers["X-Esmm-Unknown-Ids"] == reply.headers["X-Esmm-Unknown-Ids"]
    assert (reply.json["version"], reply.json["step"]) == ("3", 10)
    alone = server.score(USERS[0]).json
    for name, column in alone["scores"].items():
        assert column == pytest.approx(reply.json["scores"][0][name], rel=1e-6)


def test_values_and_unknown_ids_are_counted_by_field(server):
    def counted(name: str, field: str) -> float:
        figures: dict[str, float] = server.figures()
        return figures.get(f'esmm_serving_{name}_total{{field="{field}"}}', 0.0)

    fields = ("user id", "age", "tags", "item", "price", "item x age")
    before = {(name, field): counted(name, field) for name in ("values", "unknown_ids") for field in fields}
    assert server.score(USERS).status == 200
    # Two users with three candidates in all, and three tags
    values = {"user id": 2, "age": 2, "tags": 3, "item": 3, "price": 3, "item x age": 3}
    unknown = {"user id": 1, "age": 0, "tags": 1, "item": 1, "price": 0, "item x age": 3}
    wait_for(lambda: counted("unknown_ids", "item x age") == before["unknown_ids", "item x age"] + 3)
    for name, numbers in (("values", values), ("unknown_ids", unknown)):
        for field, number in numbers.items():
            assert counted(name, field) - before[name, field] == number, (name, field)


def test_numbers_of_json_that_are_not_finite_are_missing_or_refused(server):
    user = json.dumps({"user_id": "u1", "candidates": [{"item": "i1"}]})
    missing = server.score(user.replace('"u1"', '"u1", "age": NaN').encode())
    assert missing.json["scores"] == server.score(user.encode()).json["scores"]
    reply = server.score(user.replace('"u1"', '"u1", "age": Infinity').encode())
    assert (reply.status, "age" in reply.error) == (400, True)


def test_a_wrong_name_is_refused_with_the_nearest(server):
    reply = server.score({"user_id": "u1", "candidates": [{"itm": "i1"}]})
    assert reply.status == 400
    assert "itm" in reply.error
    assert "'item'" in reply.error
