"""Which processes ``esmm local`` starts, and with which environment."""

import sys

import pytest

from esmm_dist.errors import ConfigError
from launcher.local.config import LocalConfig
from launcher.local.plan import (
    ESMM,
    dry_run,
    dry_run_elastic,
    horovod_environment,
    plan_agent,
    plan_lines,
    plan_servers,
    plan_workers,
)
from launcher.processes.process_plan import full_environment


def workers(
    count, *, addresses=("h:1", "h:2"), place="127.0.0.1:5000/ab", inherited=None, command=("train", "--data", "d")
):
    return plan_workers(
        count,
        command,
        addresses=addresses,
        token_file="/t/token",
        rendezvous_place=place,
        inherited=inherited or {},
        esmm=["esmm"],
    )


def test_each_server_gets_its_index_a_free_port_the_token_and_a_file_for_its_address():
    plans = plan_servers(2, token_file="/t/token", address_files=["/t/a", "/t/b"], esmm=["esmm"])
    shared = "--count 2 --bind 127.0.0.1:0 --token-file /t/token"
    assert [" ".join(plan.command) for plan in plans] == [
        f"esmm server --index 0 {shared} --address-file /t/a",
        f"esmm server --index 1 {shared} --address-file /t/b",
    ]
    assert [plan.name for plan in plans] == ["server 0", "server 1"]
    assert not any(plan.reports for plan in plans)


def test_workers_get_the_command_as_typed_and_the_servers_in_order():
    plans = workers(2, command=("predict", "--out", "a b.parquet"))
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
    [plan] = workers(1, addresses=(), place=None)
    assert plan.command[-2:] == ("--servers", "embedded")
    assert not any(name.startswith("HOROVOD") for name in plan.environment)
    assert plan.environment["ESMM_PROGRESS"] == "json"


def test_the_time_to_meet_is_longer_than_horovods_unless_the_user_says_otherwise():
    assert workers(2)[0].environment["HOROVOD_GLOO_TIMEOUT_SECONDS"] == "120"
    inherited = {"HOROVOD_GLOO_TIMEOUT_SECONDS": "7"}
    assert workers(2, inherited=inherited)[0].environment["HOROVOD_GLOO_TIMEOUT_SECONDS"] == "7"


def test_a_rank_of_another_job_is_not_inherited_but_tuning_is():
    inherited = {
        **horovod_environment(3, 4, "h:1/ab"),
        "HOROVOD_CYCLE_TIME": "5",
        "ESMM_PROGRESS": "json",
        "PATH": "/bin",
    }
    [server] = plan_servers(1, token_file="t", address_files=["a"])
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
    lines = plan_lines(dry_run(LocalConfig(workers=2, servers=1, command=("train", "--data", "a b")), {}))
    commands = [line for line in lines if not line.startswith(" ")]
    assert [line.split(":")[0] for line in commands] == ["server 0", "worker 0", "worker 1"]
    assert f"{sys.executable} -P -m launcher train --data 'a b' --servers '<address of server 0>'" in commands[1]
    assert all("--token-file '<token file>'" in line for line in commands)
    assert "    ESMM_RENDEZVOUS=<where workers meet>" in lines
    assert ESMM[0] == sys.executable


@pytest.mark.parametrize(("standby", "flags"), [(True, "--standby "), (False, "")])
def test_an_agent_gets_its_name_the_token_a_file_for_its_address_and_the_line_of_its_worker(standby, flags):
    plan = plan_agent(
        "worker-3",
        ("train", "--data", "d"),
        local_rank=3,
        addresses=["h:1", "h:2"],
        token_file="/t/token",
        address_file="/t/a",
        grace_seconds=7.5,
        standby=standby,
        esmm=["esmm"],
    )
    assert " ".join(plan.command) == (
        "esmm agent --name worker-3 --bind 127.0.0.1:0 --address-file /t/a --token-file /t/token --local-rank 3 "
        "--grace-seconds 7.5 "
        f"{flags}-- train --data d --servers h:1,h:2 --token-file /t/token"
    )
    assert plan.reports


@pytest.mark.parametrize("standby", [True, False])
def test_every_worker_of_an_elastic_training_has_a_standby_or_none_has(standby):
    config = LocalConfig(workers=2, min_workers=1, standby=standby, command=("train", "--data", "d"))
    agents = [plan for plan in dry_run_elastic(config, "r") if plan.name.startswith("worker")]
    assert [plan.name for plan in agents] == ["worker-0", "worker-1"]
    assert [plan.command[plan.command.index("--local-rank") + 1] for plan in agents] == ["0", "1"]
    assert all(("--standby" in plan.command) == standby for plan in agents)


def test_words_after_the_dashes_that_begin_with_a_flag_are_for_train():
    assert LocalConfig(command=("--data", "d")).worker_command == ("train", "--data", "d")
    assert LocalConfig(command=("evaluate", "--run", "r")).worker_command == ("evaluate", "--run", "r")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workers": 0}, "workers is 0. Set 1 or more"),
        ({"servers": -1}, "servers is -1. Set 0"),
        ({"workers": 2, "servers": 0}, "servers is 0 and workers is 2.*Set --servers 1 or more, or --workers 1"),
        ({"grace_seconds": 0}, "grace_seconds is 0"),
        ({"start_timeout_s": float("nan")}, "start_timeout_s is nan"),
        ({"standby": True}, "standby is set, but without min_workers or max_workers no worker is ever replaced"),
        ({"command": ()}, "nothing to run.* after --"),
        ({"command": ("synth", "raw")}, "Workers cannot run 'synth'.*train, evaluate, predict"),
        ({"command": ("--servers", "h:1")}, "--servers stands after --"),
        ({"command": ("train", "--token_file=x")}, "--token-file stands after --"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        LocalConfig(**({"command": ("--data", "d")} | settings))
