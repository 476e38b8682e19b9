"""Which processes ``esmm local`` starts, and with which environment."""

import sys
from pathlib import Path
from typing import Any

import pytest

from launcher.local.config import LocalConfig
from launcher.local.process_plans import ESMM, ProcessPlans, dry_run, horovod_environment, plan_lines
from launcher.local.workspace import Workspace
from launcher.processes.process_plan import ProcessPlan, full_environment

PLACE = "127.0.0.1:5000/ab"
ADDRESSES = ("h:1", "h:2")


def plans(*command: str, **settings: Any) -> ProcessPlans:
    config = LocalConfig(**{"command": command or ("train", "--data", "d"), "servers": 2, **settings})
    return ProcessPlans(config=config, workspace=Workspace(folder=Path("/w")), token_file="/t/token", esmm=["esmm"])


def workers(count: int, *command: str, place: str | None = PLACE, **settings: Any) -> list[ProcessPlan]:
    return plans(*command, workers=count, **settings).workers(ADDRESSES, place, {})


def test_each_server_gets_its_index_a_free_port_the_token_and_a_file_for_its_address():
    servers = plans().servers()
    shared = "--count 2 --bind 127.0.0.1:0 --token-file /t/token"
    assert [" ".join(plan.command) for plan in servers] == [
        f"esmm server --index 0 {shared} --address-file /w/server-0",
        f"esmm server --index 1 {shared} --address-file /w/server-1",
    ]
    assert [plan.name for plan in servers] == ["server 0", "server 1"]
    assert not any(plan.reports for plan in servers)


def test_a_server_that_is_started_again_takes_the_address_that_workers_know():
    command = plans().server(1, bind="127.0.0.1:4711").command
    assert command[command.index("--bind") + 1] == "127.0.0.1:4711"


def test_workers_get_the_command_as_typed_and_the_servers_in_order():
    plans = workers(2, "predict", "--out", "a b.parquet")
    line = ("esmm", "predict", "--out", "a b.parquet", "--servers", "h:1,h:2", "--token-file", "/t/token")
    assert [plan.command for plan in plans] == [line, line]
    assert [plan.name for plan in plans] == ["worker 0", "worker 1"]
    assert [plan.reports for plan in plans] == [True, False]  # the report of rank 0 is that of the whole


def test_each_worker_is_a_rank_of_one_machine():
    for rank, plan in enumerate(workers(3)):
        expected = {
            "HOROVOD_RANK": str(rank), "HOROVOD_LOCAL_RANK": str(rank), "HOROVOD_CROSS_RANK": "0",
            "HOROVOD_SIZE": "3", "HOROVOD_LOCAL_SIZE": "3", "HOROVOD_CROSS_SIZE": "1",
            "ESMM_RENDEZVOUS": "127.0.0.1:5000/ab",
            "HOROVOD_GLOO_IFACE": "lo", "HOROVOD_CONTROLLER": "gloo", "HOROVOD_CPU_OPERATIONS": "gloo",
        }  # fmt: skip
        assert expected.items() <= plan.environment.items()


def test_one_worker_needs_no_horovod_and_no_servers_means_an_embedded_table():
    [plan] = plans(workers=1, servers=0).workers((), None, {})
    assert plan.command[-2:] == ("--servers", "embedded")
    assert not any(name.startswith("HOROVOD") for name in plan.environment)
    assert plan.environment["ESMM_PROGRESS"] == "json"


def test_the_time_to_meet_is_longer_than_horovods_unless_the_user_says_otherwise():
    assert workers(2)[0].environment["HOROVOD_GLOO_TIMEOUT_SECONDS"] == "120"
    inherited = {"HOROVOD_GLOO_TIMEOUT_SECONDS": "7"}
    [first, _] = plans(workers=2).workers(ADDRESSES, PLACE, inherited)
    assert first.environment["HOROVOD_GLOO_TIMEOUT_SECONDS"] == "7"


def test_a_rank_of_another_job_is_not_inherited_but_tuning_is():
    inherited = {
        **horovod_environment(3, 4, "h:1/ab"),
        "HOROVOD_CYCLE_TIME": "5",
        "ESMM_PROGRESS": "json",
        "PATH": "/bin",
    }
    [server] = plans(servers=1).servers()
    assert full_environment(server, inherited) == {
        "HOROVOD_CYCLE_TIME": "5",
        "PATH": "/bin",
        "ESMM_PROGRESS": "",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    [solo] = workers(1, place=None)
    assert "HOROVOD_RANK" not in full_environment(solo, inherited)
    assert full_environment(workers(2)[1], inherited)["HOROVOD_RANK"] == "1"


def test_a_dry_run_shows_every_process_and_neither_a_token_nor_an_address_that_nobody_has():
    lines = plan_lines(dry_run(LocalConfig(workers=2, servers=1, command=("train", "--data", "a b")), "r", {}))
    commands = [line for line in lines if not line.startswith(" ")]
    assert [line.split(":")[0] for line in commands] == ["server 0", "worker 0", "worker 1"]
    assert f"{sys.executable} -P -m launcher train --data 'a b' --servers '<address of server 0>'" in commands[1]
    assert all("--token-file '<token file>'" in line for line in commands)
    assert "    ESMM_RENDEZVOUS=<where workers meet>" in lines
    assert ESMM[0] == sys.executable


@pytest.mark.parametrize(("standby", "flags"), [(True, "--standby "), (False, "")])
def test_an_agent_gets_its_name_the_token_a_file_for_its_address_and_the_line_of_its_worker(standby, flags):
    plan = plans(workers=2, min_workers=1, grace_seconds=7.5, standby=standby).agent(3, 9, ADDRESSES)
    assert " ".join(plan.command) == (
        "esmm agent --name worker-3 --bind 127.0.0.1:0 --address-file /w/agent-9 --token-file /t/token --local-rank 3 "
        f"--grace-seconds 7.5 {flags}-- train --data d --servers h:1,h:2 --token-file /t/token"
    )
    assert plan.reports


def test_a_driver_gets_the_run_the_servers_the_bounds_and_the_files_by_which_it_is_told_and_tells():
    plan = plans(min_workers=2, max_workers=5, stall_seconds=1.5).driver("s3://b/run", ADDRESSES)
    assert " ".join(plan.command) == (
        "esmm driver --run s3://b/run --servers h:1,h:2 --token-file /t/token --agents-file /w/agents.json "
        "--beat-file /w/driver.json --min-workers 2 --max-workers 5 --stall-seconds 1.5"
    )
    assert not plan.reports


@pytest.mark.parametrize("standby", [True, False])
def test_every_worker_of_an_elastic_training_has_a_standby_or_none_has(standby):
    config = LocalConfig(workers=2, min_workers=1, standby=standby, command=("train", "--data", "d"))
    agents = [plan for plan in dry_run(config, "r", {}) if plan.name.startswith("worker")]
    assert [plan.name for plan in agents] == ["worker-0", "worker-1"]
    assert [plan.command[plan.command.index("--local-rank") + 1] for plan in agents] == ["0", "1"]
    assert all(("--standby" in plan.command) == standby for plan in agents)
