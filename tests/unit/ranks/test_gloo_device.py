"""Where ranks would listen, and what is said where they could not."""

import ctypes
import socket
from pathlib import Path

import pytest

from esmm_dist.errors import StackError
from esmm_dist.ranks.gloo_device import _answer_gethostname, check_host_name, interface_address, listen_on_interface


def test_an_interface_has_its_address():
    assert interface_address("lo") == "127.0.0.1"


def test_an_interface_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(StackError, match=r"HOROVOD_GLOO_IFACE is 'eth77', .* It has: lo"):
        interface_address("eth77")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no-such-name-42.invalid", "has no address"),
        ("a..b", "has no address"),  # no name at all
        ("192.0.2.77", "leads to 192.0.2.77, which is not an address of this machine"),
    ],
)
def test_a_name_at_which_nobody_can_listen_is_refused_with_what_to_do(name, why, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    monkeypatch.delenv("HOROVOD_GLOO_IFACE", raising=False)
    with pytest.raises(StackError) as e:
        listen_on_interface(Path("/nowhere"))
    assert f"This machine's name '{name}' {why}" in str(e.value)
    assert f"'127.0.0.1 {name}'" in str(e.value)
    assert "HOROVOD_GLOO_IFACE=lo" in str(e.value)


def test_a_name_that_leads_here_is_taken():
    check_host_name("localhost")


def test_a_library_that_is_not_loaded_has_no_pointer_to_set():
    assert not _answer_gethostname(Path(__file__), "127.0.0.1")


def test_a_loaded_library_gets_the_answer_in_place_of_the_machines_name():
    import _socket  # Python's own module calls gethostname too

    name = socket.gethostname()
    assert name != "127.0.0.9"
    file = getattr(_socket, "__file__", None)
    if file is None:
        pytest.skip("this Python has its socket module built in")
    ctypes.CDLL(file)
    assert _answer_gethostname(Path(file), "127.0.0.9")
    assert socket.gethostname() == "127.0.0.9"
