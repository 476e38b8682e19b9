"""Whatever terminal, locale or stream an ``esmm`` is started with: it does its work, and its exit status says so."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ESMM = [sys.executable, "-P", "-m", "launcher"]
NO_TEXT = os.fsdecode(b"donn\xe9es-\xff")
"""A name that is text in no encoding of a terminal but Latin-1, as old archives bring them."""

LOCALES = {
    "UTF-8": {"LC_ALL": "C.UTF-8"},
    "GBK": {"PYTHONIOENCODING": "gbk"},
    "Latin-1": {"PYTHONIOENCODING": "latin-1"},
    "ASCII": {"PYTHONIOENCODING": "ascii"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
COMMANDS = {
    "help of all": (["--help"], 0, "train"),
    "help": (["train", "--help"], 0, "--data"),
    "a report": (["synth", "é±×→/raw", "--impressions", "300"], 0, "300"),
    "an error that names a path": (["checkpoints", "é±×→/none"], 2, "none"),
    "an error that names a path that is no text": (["checkpoints", NO_TEXT], 2, "is not UTF-8 text (byte 0xe9"),
    "settings": (["preprocess", f"é±×→/{NO_TEXT}", "out", "--schema", "aliccp", "--print-config"], 0, "raw"),
}
"""What is done, its exit status, and something that it prints."""


def esmm(folder: Path, *args: str, redirected: str = "", **variables: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a command line, its streams redirected as a shell does it."""
    root = Path(__file__).resolve().parents[4]
    variables = {"PYTHONPATH": str(root), "TMPDIR": str(folder), **variables}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    shell = ["sh", "-c", f'exec "$@" {redirected}', "sh"]
    return subprocess.run(
        [*shell, *ESMM, *args], cwd=folder, env={**kept, **variables}, capture_output=True, timeout=100, check=False
    )


IN_SHORT = {*((command, "GBK") for command in COMMANDS), *((command, "C") for command in COMMANDS)} | {
    (command, locale) for command in ("a report", "an error that names a path that is no text") for locale in LOCALES
}
"""Commands and locales in which the checks start them, a process each: each command in a narrow encoding and in none,
what writes files and what is no text in every one. The other pairs are slow tests."""


@pytest.mark.parametrize(
    ("command", "locale"),
    [
        pytest.param(command, locale, marks=() if (command, locale) in IN_SHORT else pytest.mark.slow)
        for command in COMMANDS
        for locale in LOCALES
    ],
)
def test_what_is_printed_reaches_every_terminal(tmp_path, command, locale):
    line, status, printed = COMMANDS[command]
    done = esmm(tmp_path, *line, **LOCALES[locale])
    assert done.returncode == status, done.stderr
    assert printed.encode() in done.stdout + done.stderr
    if command == "a report":  # under the same name, whatever the locale makes of it
        assert (tmp_path / "é±×→" / "raw").is_dir()


def test_what_a_terminal_lacks_is_shown_plainly(tmp_path):
    code = "from launcher.terminal.streams import prepare_streams; prepare_streams(); print('0.7 ± 0.1 × 2 → ☃')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout == b"0.7 +/- 0.1 x 2 -> \\u2603\n"


def test_the_log_of_an_unexpected_error_holds_a_path_that_is_no_text(tmp_path):
    code = (
        "import sys; from launcher import cli; "
        "cli.resolve_line = lambda line: 1 / 0; sys.argv[1:] = ['checkpoints', sys.argv[1]]; sys.exit(cli.main())"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code, NO_TEXT], env=environment, capture_output=True, check=False)
    assert done.returncode == 70
    [log] = tmp_path.glob("esmm-*.log")
    assert str(log).encode() in done.stderr
    assert "\\udcff" in log.read_text(encoding="utf-8")


@pytest.mark.parametrize("redirected", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", "2>/dev/full", "2>&1 2>/dev/full"])
def test_work_is_done_without_a_stream(tmp_path, redirected):
    done = esmm(tmp_path, "synth", "raw", "--impressions", "300", redirected=redirected)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "raw" / "synth.json").is_file()
    if ">&-" not in redirected.replace("2>&-", ""):
        assert b"clicks" in done.stdout


def test_without_stderr_no_file_gets_what_is_written_there(tmp_path):
    done = esmm(tmp_path, "synth", "raw", "--impressions", "300", redirected=">&- 2>&- <&-")
    assert done.returncode == 0
    again = esmm(tmp_path, "synth", "again", "--impressions", "300")
    assert again.returncode == 0
    for file in (tmp_path / "raw").iterdir():
        if file.suffix == ".csv":
            assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_report_that_cannot_be_written_fails_in_one_sentence(tmp_path, flags):
    done = esmm(tmp_path, "synth", "raw", "--impressions", "300", *flags, redirected=">/dev/full")
    assert done.returncode == 1
    last = done.stderr.decode().splitlines()[-1]
    assert last == "esmm: cannot write to stdout (No space left on device). The work is done, but its report is lost."


def test_the_json_line_is_ascii_whatever_the_locale(tmp_path):
    done = esmm(tmp_path, "synth", "é", "--impressions", "300", "--json", PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout.decode("ascii"))
