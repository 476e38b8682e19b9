"""The ranks of one machine meet on the loopback interface, whatever the machine is called."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from esmm_dist.errors import StackError
from esmm_dist.ranks.gloo_device import interface_address
from launcher.driver.rendezvous_server import rendezvous
from launcher.local.process_plans import horovod_environment
from tests.support.named_machine import named_machine
from tests.support.secret_files import write_secret

PROGRAM = Path(__file__).with_name("connected_program.py")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def card() -> str:
    """The address of a network card: taken for a host name, it leads there."""
    for _, name in socket.if_nameindex():
        with contextlib.suppress(StackError):
            if name != "lo":
                return interface_address(name)
    pytest.skip("this machine has no network card with an address")


def met(host_name: str, token_file: Path) -> list[dict]:
    """Have two ranks meet on a machine of this name; return what they print."""
    token = write_secret(token_file, "0123456789abcdef")
    with rendezvous(2, "0123456789abcdef") as place:
        ranks = [
            subprocess.Popen(
                named_machine(host_name, [sys.executable, str(PROGRAM), str(token)]),
                env={**os.environ, "PYTHONPATH": str(ROOT), **horovod_environment(rank, 2, str(place))},
                stdout=subprocess.PIPE,
            )
            for rank in range(2)
        ]
        printed = [rank.communicate(timeout=100)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    return [json.loads(text) for text in printed]


@pytest.mark.parametrize("leads", ["nowhere", "to a network card"])
def test_ranks_meet_on_loopback_alone(leads, request, tmp_path):
    name = "no-such-name-42" if leads == "nowhere" else request.getfixturevalue("card")
    assert met(name, tmp_path / "token") == [{"rank": rank, "stands": ["127.0.0.1"]} for rank in range(2)]
