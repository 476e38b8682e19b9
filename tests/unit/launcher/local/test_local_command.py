"""The line of ``esmm local``: what is its own, and what goes to the workers."""

import json

import pytest

from launcher import cli
from launcher.settings.resolve import split_rest


def esmm(line):
    return cli.main(line.split())


@pytest.mark.parametrize(
    ("line", "own", "rest"),
    [
        ("--workers 2 -- --data d", "--workers 2", "--data d"),
        ("--workers 2", "--workers 2", ""),
        ("-- train -- x", "", "train -- x"),
        ("--json -- --data d", "--json", "--data d --json"),
        ("-- --data d --json --debug", "--json --debug", "--data d --json --debug"),
        ("--json", "--json", ""),
    ],
)
def test_a_line_is_cut_at_its_first_dashes_and_common_flags_are_for_both_sides(line, own, rest):
    assert split_rest(line.split()) == (own.split(), rest.split())


def test_a_dry_run_prints_what_would_be_started(capsys):
    assert esmm("local --workers 2 --servers 2 --dry-run -- --data d --run r") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert [line.split(":")[0] for line in lines] == ["server 0", "server 1", "worker 0", "worker 1"]


def test_a_dry_run_for_a_program_is_json(capsys):
    assert esmm("local --dry-run --json -- evaluate --data d --run r --split test") == 0
    processes = json.loads(capsys.readouterr().out)["processes"]
    assert [p["name"] for p in processes] == ["server 0", "worker 0", "worker 1"]
    assert "evaluate" in processes[1]["command"]
    assert processes[2]["environment"]["HOROVOD_RANK"] == "1"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("local --workers 2", "There is nothing to run"),
        ("local --command x -- --data d", "Unknown flag '--command'"),
        (
            "local -- --data d --run r --embeding-dim 3",
            "Unknown flag '--embeding-dim'. Did you mean '--embedding-dim'?",
        ),
        ("local -- --data d --run r --embedding-dim 0", "embedding_dim is 0"),
        ("local --servers 0 -- --data d --run r", "servers is 0 and workers is 2"),
    ],
)
def test_a_wrong_line_is_an_error_before_anything_is_started(capsys, line, message):
    assert esmm(line) == 2
    assert message in capsys.readouterr().err


def test_help_of_the_workers_command_is_printed_and_nothing_is_started(capsys):
    assert esmm("local -- --help") == 0
    assert "usage: esmm train" in capsys.readouterr().out


def test_settings_can_stand_in_a_file_with_the_workers_words(capsys, tmp_path):
    assert esmm("local --workers 3 --print-config -- --data d --run r") == 0
    text = capsys.readouterr().out
    assert "command: [--data, d, --run, r]" in text
    (tmp_path / "local.yaml").write_text(text.replace("dry_run: false", "dry_run: true"))
    assert cli.main(["local", "--config", str(tmp_path / "local.yaml")]) == 0
    assert "worker 2: " in capsys.readouterr().out
    assert cli.main(["local", "--print-config"]) == 0
    assert "# command:    (required; no default)" in capsys.readouterr().out
