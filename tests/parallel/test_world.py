"""Real Horovod ranks find each other, agree, and notice that one of them is gone."""

import json
import sys
from pathlib import Path

import pytest

from tests.parallel.horovod_ranks import run_ranks

pytestmark = pytest.mark.timeout(300)

PROGRAM = Path(__file__).with_name("world_program.py")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    result = run_ranks(3, sys.executable, PROGRAM, "agree", folder=tmp_path_factory.mktemp("agree") / "out")
    assert result.status == 0, result.err
    assert result.err == ["", "", ""]
    return [json.loads(text) for text in result.out]


def test_each_rank_knows_its_place(ranks):
    assert [(f["rank"], f["size"], f["local_rank"]) for f in ranks] == [(0, 3, 0), (1, 3, 1), (2, 3, 2)]


def test_all_have_what_rank_0_shares_and_what_work_on_it_returns(ranks):
    for found in ranks:
        assert found["shared"] == {"rank": 0, "text": "Zahl ½", "nothing": None, "pair": [1, 2]}
        assert found["empty"] == ""
        assert found["on_root"] == {"done by": 0}


def test_an_error_on_rank_0_is_raised_on_every_rank_as_the_same_class(ranks):
    assert ranks[0]["failure"] == ["CheckpointError", "file x is damaged"]
    for found in ranks[1:]:
        assert found["failure"] == ["CheckpointError", "rank 0 failed: file x is damaged"]


def test_rows_are_gathered_in_rank_order_whatever_their_number(ranks):
    for found in ranks:
        assert found["gathered"] == [[1, 1, 1], [2, 2, 2], [2, 2, 2]]
        assert found["gathered_nothing"] == [0, 7]


def test_variables_are_those_of_rank_0_and_sums_are_over_all_ranks(ranks):
    for found in ranks:
        assert found["variables"] == [[1.0, 2.0], 7]
        assert found["sums"] == [[6.0, 2.0 * (0 + 1 + 2)], [6.0, 2.0 * (1 + 2 + 3)]]


def test_a_killed_rank_is_noticed_in_every_kind_of_collective_and_said_in_one_line(tmp_path):
    # horovodrun ends the others when one has failed, at best after they have noticed themselves
    result = run_ranks(2, sys.executable, PROGRAM, "lose", folder=tmp_path / "out")
    assert result.status != 0
    said = result.out[0].splitlines()
    assert said
    assert set(said) == {"rank 0 of 2: another rank ended; its own message says why."}
    assert "Traceback" not in result.err[0]
    assert "gloo" not in result.err[0]
