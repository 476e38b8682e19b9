"""The command line as a whole: what is printed where, and with which exit status."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from esmm_dist.errors import CheckpointError, ConfigError, WorkerLostError
from launcher import cli
from launcher.command import RUN_AGAIN, Command, Outcome
from launcher.commands import COMMANDS
from launcher.local.config import WORKER_COMMANDS
from launcher.local.workspace import LOG_FOLDER
from tests.unit.launcher.settings.sample_settings import SampleConfig, TableConfig


@pytest.fixture
def sample(monkeypatch):
    """Add a command ``esmm sample`` whose work the test sets as ``sample.work``."""

    class Sample:
        seen: SampleConfig | None = None

        @staticmethod
        def work(settings, context):
            return Outcome(lines=["all done"], result={"rows": 3, "auc": float("nan")})

        def run(self, settings, context):
            Sample.seen = settings
            return self.work(settings, context)

    made = Sample()
    command = Command(
        name="sample", group="Sample", summary="Sample.", example="esmm sample", settings=SampleConfig, work=made.run,
        positional=("data",), in_ranks=True,
        earlier_settings=lambda flags: {"limit": 5.0} if flags.get("run") == "old" else None,
    )  # fmt: skip
    monkeypatch.setitem(COMMANDS, "sample", command)
    return made


def raises(error):
    def work(settings, context):
        raise error

    return work


def test_the_report_goes_to_stdout_and_the_status_is_0(sample, capsys):
    assert cli.main(["sample", "d"]) == 0
    assert capsys.readouterr().out == "all done\n"


def test_json_is_the_only_line_on_stdout_and_the_report_goes_to_stderr(sample, capsys):
    assert cli.main(["sample", "d", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [{"rows": 3, "auc": None}]
    assert err == "all done\n"


def test_work_that_was_not_done_gives_status_1(sample):
    sample.work = lambda settings, context: Outcome(lines=[], result={}, done=False)
    assert cli.main(["sample", "d"]) == 1


@pytest.mark.parametrize(("error", "status"), [(ConfigError("bad value"), 2), (CheckpointError("bad value"), 1)])
def test_an_error_of_ours_is_one_line_with_its_status(sample, capsys, error, status):
    sample.work = raises(error)
    assert cli.main(["sample", "d"]) == status
    assert capsys.readouterr() == ("", "esmm: bad value\n")


def test_debug_adds_the_traceback_of_an_error_of_ours(sample, capsys):
    sample.work = raises(CheckpointError("bad value"))
    assert cli.main(["sample", "d", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_unexpected_error_is_one_line_that_names_a_log_with_the_traceback(sample, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    sample.work = raises(ZeroDivisionError("x / 0\nmore"))
    assert cli.main(["sample", "d"]) == cli.UNEXPECTED
    err = capsys.readouterr().err
    [log] = tmp_path.iterdir()
    assert err.startswith(f"esmm: unexpected ZeroDivisionError: x / 0. The traceback is in {log};")
    assert len(err.splitlines()) == 1
    assert "Traceback" in log.read_text()
    assert log.read_text().startswith("esmm sample d\n")


def test_a_process_of_esmm_local_leaves_its_traceback_where_it_stays(sample, capsys, tmp_path, monkeypatch):
    stays, goes = tmp_path / "stays", tmp_path / "goes"
    for folder in (stays, goes):
        folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(goes))
    monkeypatch.setenv(LOG_FOLDER, str(stays))
    sample.work = raises(ZeroDivisionError("x / 0"))
    assert cli.main(["sample", "d"]) == cli.UNEXPECTED
    assert (len(list(stays.iterdir())), len(list(goes.iterdir()))) == (1, 0)


def test_an_unexpected_error_on_a_full_disk_still_says_what_it_was(sample, capsys, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    sample.work = raises(ZeroDivisionError("x / 0"))
    assert cli.main(["sample", "d"]) == cli.UNEXPECTED
    assert "unexpected ZeroDivisionError: x / 0. The traceback is in nowhere" in capsys.readouterr().err


def test_what_the_system_refuses_is_a_sentence_with_the_place(sample, capsys):
    sample.work = raises(OSError(errno.EROFS, "Read-only file system", "/mnt/x"))
    assert cli.main(["sample", "d"]) == 1
    assert capsys.readouterr().err == (
        "esmm: /mnt/x: the system refuses (EROFS: Read-only file system). Choose a place that can be written; "
        "then run it again.\n"
    )


def test_debug_shows_the_traceback_of_an_unexpected_error(sample, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    sample.work = raises(ZeroDivisionError())
    assert cli.main(["sample", "d", "--debug"]) == cli.UNEXPECTED
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_one_line_and_status_130(sample, capsys):
    sample.work = raises(KeyboardInterrupt())
    assert cli.main(["sample", "d"]) == 130
    assert capsys.readouterr().err == "esmm: interrupted. Run the same command again to continue or start over.\n"


@pytest.mark.parametrize("size", [10, 100_000])  # fails at the last flush; fails while it is printed
def test_a_reader_that_goes_away_is_no_error(size):
    code = (
        "import sys, time, launcher.cli as c\n"
        f"c.overview = lambda *rows: 'x' * {size}\n"
        "sys.stdin.read()\n"  # until the reader is gone
        "sys.exit(c.main(['--help']))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait() == cli.PIPE_CLOSED


def test_an_unknown_command_names_the_nearest_and_lists_all(capsys):
    assert cli.main(["trian"]) == 2
    err = capsys.readouterr().err
    assert "Unknown command 'trian'. Did you mean 'train'?" in err
    assert "predict" in err


def test_no_command_shows_the_overview_on_stderr_and_is_an_error(capsys):
    assert cli.main([]) == 2
    assert "esmm COMMAND --help" in capsys.readouterr().err


def test_help_lists_every_command_on_stdout(capsys):
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert len(COMMANDS) >= 8
    assert all(f"  {name} " in out for name in COMMANDS)


def test_a_wrong_flag_gives_status_2(sample, capsys):
    assert cli.main(["sample", "d", "--embeding-dim", "3"]) == 2
    assert "Did you mean '--embedding-dim'?" in capsys.readouterr().err


def test_help_of_a_command_gives_status_0(sample, capsys):
    assert cli.main(["sample", "--help"]) == 0
    assert "esmm sample" in capsys.readouterr().out


def test_print_config_prints_what_reads_back_identically_and_does_nothing(sample, capsys, tmp_path):
    assert cli.main(["sample", "d", "--limit", "3", "--optimizer", "sgd", "--print-config"]) == 0
    assert sample.seen is None
    text = capsys.readouterr().out
    file = tmp_path / "c.yaml"
    file.write_text(text)
    assert cli.main(["sample", "--config", str(file), "--print-config"]) == 0
    assert capsys.readouterr().out == text
    assert cli.main(["sample", "--config", str(file)]) == 0
    assert sample.seen == SampleConfig(data=Path("d"), limit=3.0, table=TableConfig(optimizer="sgd"))


def test_print_config_refuses_what_the_class_refuses(sample, capsys):
    assert cli.main(["sample", "d", "--embedding-dim", "0", "--print-config"]) == 2
    assert capsys.readouterr() == ("", "esmm: embedding_dim is 0. Set 1 or more.\n")


def test_print_config_needs_no_required_setting(sample, capsys):
    assert cli.main(["sample", "--print-config"]) == 0
    assert "# data:    (required; no default)" in capsys.readouterr().out


def test_a_file_with_an_unknown_setting_is_named(sample, capsys, tmp_path):
    (tmp_path / "c.yaml").write_text("limmit: 3")
    assert cli.main(["sample", "d", "--config", str(tmp_path / "c.yaml")]) == 2
    assert f"{tmp_path / 'c.yaml'}:1: unknown setting 'limmit'. Did you mean 'limit'?" in capsys.readouterr().err


@pytest.fixture
def old_run(monkeypatch):
    """Let the run ``old`` of ``esmm train`` have stored settings; return them, to be changed."""
    stored = {"seed": 5, "embedding": {"embedding_dim": 4}}
    find = lambda flags: stored if flags.get("run") == "old" else None  # noqa: E731
    monkeypatch.setitem(COMMANDS, "train", replace(COMMANDS["train"], earlier_settings=find))
    return stored


def test_stored_settings_are_below_the_file_and_the_file_below_the_flags(old_run, tmp_path):
    (tmp_path / "c.yaml").write_text("data: d\nembedding: {start_scale: 0.5}\nmax_steps: 7\n")
    line = ["train", "--run", "old", "--config", str(tmp_path / "c.yaml"), "--max-steps", "9"]
    values = cli.resolve_line(line).values
    assert (values["seed"], values["max_steps"], values["data"], values["run"]) == (5, 9, Path("d"), "old")
    assert (values["embedding"]["embedding_dim"], values["embedding"]["start_scale"]) == (4, 0.5)


def test_an_unknown_stored_setting_is_not_blamed_on_the_file(old_run, tmp_path):
    old_run["sed"] = 3
    (tmp_path / "c.yaml").write_text("data: d\n")
    with pytest.raises(ConfigError, match="the run's stored settings: unknown setting 'sed'"):
        cli.resolve_line(["train", "--run", "old", "--config", str(tmp_path / "c.yaml")])


def test_a_missing_settings_file_is_named(sample, capsys):
    assert cli.main(["sample", "d", "--config", "/nope.yaml"]) == 2
    assert "Cannot read /nope.yaml" in capsys.readouterr().err


def test_versions_are_read_without_tensorflow(capsys):
    assert cli.main(["--version"]) == 0
    text = capsys.readouterr().out
    assert cli.main(["--version", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tensorflow"] == "2.16.2"
    assert found["horovod"] == "0.28.1"
    assert len(text.splitlines()) == len(found) >= 8


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["synth", "--help"], ["preprocess", "--help"], ["demo", "--help"]]
)
def test_a_command_that_needs_no_tensorflow_does_not_import_it(args):
    code = (
        "import sys; from launcher.cli import main; status = main(sys.argv[1:]);"
        "sys.exit(status or any(name in sys.modules for name in ('tensorflow', 'horovod', 'pyarrow')))"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def as_rank(monkeypatch):
    def make(rank, size):
        monkeypatch.setenv("HOROVOD_RANK", str(rank))
        monkeypatch.setenv("HOROVOD_SIZE", str(size))

    return make


def test_only_rank_0_reports(sample, capsys, as_rank):
    as_rank(1, 2)
    assert cli.main(["sample", "d", "--json"]) == 0
    assert capsys.readouterr() == ("", "")
    as_rank(0, 2)
    assert cli.main(["sample", "d"]) == 0
    assert capsys.readouterr().out == "all done\n"


def test_a_rank_left_over_in_the_environment_silences_no_command_of_one_process(sample, capsys, as_rank, monkeypatch):
    as_rank(1, 2)
    monkeypatch.setitem(COMMANDS, "sample", replace(COMMANDS["sample"], in_ranks=False))
    assert cli.main(["sample", "d"]) == 0
    assert capsys.readouterr().out == "all done\n"
    sample.work = raises(CheckpointError("bad value"))
    assert cli.main(["sample", "d"]) == 1
    assert capsys.readouterr().err == "esmm: bad value\n"


def test_what_ranks_do_together_is_what_esmm_local_starts():
    assert {name for name, command in COMMANDS.items() if command.in_ranks} == set(WORKER_COMMANDS)


def test_a_rank_whose_work_was_not_done_fails_without_a_report(sample, capsys, as_rank):
    as_rank(1, 2)
    sample.work = lambda settings, context: Outcome(lines=["no"], result={}, done=False)
    assert cli.main(["sample", "d"]) == 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (CheckpointError("file x is damaged."), 1, "esmm: rank 1 of 2: file x is damaged.\n"),
        (WorkerLostError("rank 1 of 2: another rank ended."), 1, "esmm: rank 1 of 2: another rank ended.\n"),
        (
            KeyboardInterrupt(),
            130,
            f"esmm: rank 1 of 2: interrupted. {RUN_AGAIN}\n",
        ),
    ],
)
def test_of_several_ranks_each_says_who_it_is(sample, capsys, as_rank, error, status, line):
    as_rank(1, 2)
    sample.work = raises(error)
    assert cli.main(["sample", "d"]) == status
    assert capsys.readouterr().err == line


def test_an_environment_that_makes_no_sense_does_not_hide_the_error(sample, capsys, as_rank):
    as_rank("x", 2)
    sample.work = raises(ConfigError("wrong."))
    assert cli.main(["sample", "d"]) == 2
    assert capsys.readouterr().err == "esmm: wrong.\n"
