"""The settings of ``esmm local``: what cannot work is refused before anything is started."""

import pytest

from esmm_dist.errors import ConfigError
from launcher.local.config import LocalConfig


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
