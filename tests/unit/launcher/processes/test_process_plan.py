"""The environment of a child process."""

import pytest

from launcher.processes.process_plan import NOT_INHERITED, ProcessPlan, full_environment, without_rank


def plan(**environment: str) -> ProcessPlan:
    return ProcessPlan(name="worker 0", command=("true",), environment=environment)


def test_a_process_inherits_all_but_the_place_of_its_parent_in_a_job():
    inherited = {"PATH": "/bin", "HOROVOD_CYCLE_TIME": "5", "HOROVOD_RANK": "3", "HOROVOD_ELASTIC": "1"}
    assert without_rank(inherited) == {"PATH": "/bin", "HOROVOD_CYCLE_TIME": "5"}
    assert inherited["HOROVOD_RANK"] == "3"


def test_its_own_variables_come_last_and_its_output_is_utf_8():
    inherited = {"A": "inherited", "HOROVOD_RANK": "3", "PYTHONIOENCODING": "latin-1"}
    assert full_environment(plan(A="own", HOROVOD_RANK="0"), inherited) == {
        "A": "own",
        "HOROVOD_RANK": "0",
        "PYTHONIOENCODING": "utf-8",
    }


@pytest.mark.parametrize("name", ["HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_LOCAL_RANK", "ESMM_RENDEZVOUS"])
def test_what_gives_a_process_its_rank_is_not_inherited(name):
    assert name in NOT_INHERITED
