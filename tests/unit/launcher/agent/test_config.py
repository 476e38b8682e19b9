"""The line of ``esmm agent``."""

from pathlib import Path

import pytest

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from launcher import cli
from launcher.agent.config import AgentConfig


def config(**settings):
    return build(AgentConfig, {"name": "worker-0", "command": ["--data", "d"], **settings}, where="settings")


def test_flags_alone_are_those_of_train():
    assert config().worker_command == ("train", "--data", "d")
    assert config(command=["train", "--run", "r"]).worker_command == ("train", "--run", "r")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"name": ""}, "name is ''"),
        ({"name": "worker 0"}, "name is 'worker 0'"),
        ({"name": "-x"}, "name is '-x'"),
        ({"bind": "7070"}, "bind names '7070'"),
        ({"bind": "0.0.0.0:7070"}, "bind is 0.0.0.0:7070, which other machines reach, and there is no token"),
        ({"local_rank": -1}, "local_rank is -1. Set 0, 1, ..."),
        ({"grace_seconds": 0}, "grace_seconds is 0"),
        ({"grace_seconds": float("inf")}, "grace_seconds is inf"),
        ({"tls_cert": "cert.pem"}, "tls_cert and tls_key belong together"),
        ({"command": []}, "There is nothing to run"),
        ({"command": ["evaluate", "--run", "r"]}, "An agent cannot run 'evaluate'"),
    ],
)
def test_a_wrong_setting_is_refused(settings, text):
    with pytest.raises(ConfigError, match=text):
        config(**settings)


def test_a_standby_is_kept_only_if_it_is_asked_for():
    assert not config().standby
    assert config(standby=True).standby


def test_other_addresses_than_loopback_may_be_bound_with_a_token():
    assert config(bind="0.0.0.0:7070", token_file="token").token_file == Path("token")


def test_a_token_that_cannot_be_read_is_an_error_before_anything_listens(capsys):
    assert cli.main(["agent", "--name", "worker-0", "--token-file", "nowhere", "--", "--data", "d", "--run", "r"]) == 2
    assert "token_file nowhere cannot be read" in capsys.readouterr().err
