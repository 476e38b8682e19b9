"""The demo's steps and its table."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.errors import ConfigError, NumericalError
from esmm_dist.progress import NoProgress
from launcher import cli
from launcher.command import CommandContext, Outcome
from launcher.demo.plan import plan
from launcher.demo.run import DemoConfig, demo_command
from launcher.demo.summary import auc_rows, distance_closed

METRICS = {
    "ctr": {"auc": 0.70, "auc_standard_error": 0.002},
    "ctcvr": {"auc": 0.65, "auc_standard_error": 0.01},
    "other": {"auc": 0.5, "auc_standard_error": 0.1},
}
RESULTS: dict[str, dict[str, Any]] = {
    "synth": {"best_auc": {"ctr": 0.75, "cvr": 0.7, "ctcvr": 0.8}},
    "preprocess": {"splits": {"train": {"impressions": 3000}, "test": {"impressions": 1000}}},
    "stats": {},
    "train": {"impressions": 6000, "seconds": 2.0},
    "evaluate": METRICS,
    "report": {},
    "predict": {},
}


class FakeCommands:
    """Stands for the command line: remembers the lines and hands back made-up results."""

    def __init__(self, fails_at=None):
        self.lines = []
        self.fails_at = fails_at

    def __call__(self, line):
        if line[0] == self.fails_at:
            raise NumericalError("loss is nan")
        self.lines.append(shlex.join(line))
        return Outcome(lines=[f"{line[0]} reports"], result=RESULTS[line[0]])


class Messages(NoProgress):
    def __init__(self):
        self.texts = []

    def message(self, text):
        self.texts.append(text)


def demo(folder, commands, progress=None, impressions=4000):
    settings = DemoConfig(dir=folder, impressions=impressions)
    context = CommandContext(
        progress=progress or NoProgress(), run_line=commands, settings_of_line=cli.settings_of_line
    )
    return demo_command(settings, context)


def test_every_step_is_shown_as_the_command_that_is_run(tmp_path):
    commands, shown = FakeCommands(), Messages()
    demo(tmp_path / "demo", commands, shown)
    typed = [text.split("    # ")[0].removeprefix("$ esmm ") for text in shown.texts if "$ esmm" in text]
    assert typed == commands.lines
    assert [line.split()[0] for line in typed] == list(RESULTS)
    assert "  train reports" in shown.texts


@pytest.mark.parametrize("step", plan(Path("demo"), impressions=4000, seed=1), ids=lambda step: step.name)
def test_every_line_of_the_plan_is_one_that_the_command_understands(step):
    resolved = cli.resolve_line(step.args)
    assert resolved.values


def test_training_is_evaluated_after_each_quarter_of_its_steps():
    train = next(step for step in plan(Path("demo"), impressions=300_000, seed=1) if step.name == "train")
    every = int(train.args[train.args.index("--eval-every-steps") + 1])
    assert [step for step in range(1, 933) if step % every == 0] == [234, 468, 702]  # 932 is evaluated anyway


def test_a_folder_with_blanks_is_quoted_in_the_lines_shown():
    assert "'my demo/raw'" in plan(Path("my demo"), impressions=1, seed=1)[0].line


def test_the_demo_ends_with_auc_beside_the_best_possible_speed_and_size(tmp_path):
    outcome = demo(tmp_path / "demo", FakeCommands())
    text = "\n".join(outcome.lines)
    # (0.70 - 0.5) / (0.75 - 0.5) = 0.8; (0.65 - 0.5) / (0.8 - 0.5) = 0.5.
    assert ["ctr", "0.7000", "±", "0.0020", "0.7500", "80%"] in [line.split() for line in outcome.lines]
    assert ["ctcvr", "0.6500", "±", "0.0100", "0.8000", "50%"] in [line.split() for line in outcome.lines]
    assert "impressions/s" in text
    assert "What to try next" in text
    assert outcome.result["impressions_per_s"]["train"] == 3000.0
    assert "3 k" in next(line for line in outcome.lines if line.startswith("train "))


def test_the_pages_of_the_data_and_of_the_run_are_what_a_reader_is_told_of_first(tmp_path):
    folder = tmp_path / "demo"
    commands = FakeCommands()
    lines = demo(folder, commands).lines
    written = [line.split(" --html ")[1].split()[0] for line in commands.lines if " --html " in line]
    assert written == [str(folder / "data.html"), str(folder / "run.html")]
    place = lines.index("What to try next:")
    assert [line.split()[0] for line in lines[place + 1 : place + 3]] == written


def test_a_demo_that_stopped_continues_at_the_step_that_failed(tmp_path):
    with pytest.raises(NumericalError):
        demo(tmp_path / "demo", FakeCommands(fails_at="train"))
    commands = FakeCommands()
    demo(tmp_path / "demo", commands)
    assert [line.split()[0] for line in commands.lines] == ["train", "evaluate", "report", "predict"]


def test_a_training_that_a_signal_stopped_ends_the_demo_and_is_continued_by_the_next(tmp_path):
    class Stopped(FakeCommands):
        def __call__(self, line):
            outcome = super().__call__(line)
            return Outcome(lines=[], result={"stopped_by": "SIGINT"}) if line[0] == "train" else outcome

    stopped = Stopped()
    outcome = demo(tmp_path / "demo", stopped)
    assert not outcome.done
    assert outcome.lines == ["The demo stopped at train. Run the same command again to continue."]
    assert len(stopped.lines) == 4
    commands = FakeCommands()
    assert demo(tmp_path / "demo", commands).done
    assert [line.split()[0] for line in commands.lines] == ["train", "evaluate", "report", "predict"]


def test_a_finished_demo_shows_its_table_again_and_runs_nothing(tmp_path):
    first = demo(tmp_path / "demo", FakeCommands())
    commands, shown = FakeCommands(), Messages()
    assert demo(tmp_path / "demo", commands, shown).lines == first.lines
    assert commands.lines == []
    assert f"  done already; remove {tmp_path / 'demo'} to start over" in shown.texts


def test_a_demo_of_other_settings_is_left_alone_and_a_subfolder_is_taken(tmp_path):
    folder = tmp_path / "demo"
    demo(folder, FakeCommands())
    before = (folder / "demo.json").read_bytes()
    for _ in range(2):
        outcome = demo(folder, FakeCommands(), impressions=9)
        assert outcome.result["folder"] == str(folder / "2")
    outcome = demo(folder, FakeCommands(), impressions=10)
    assert outcome.result["folder"] == str(folder / "3")
    assert (folder / "demo.json").read_bytes() == before


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_folder_that_is_not_a_demo_is_refused_and_not_touched(tmp_path, kind):
    folder = tmp_path / "mine"
    if kind == "folder":
        folder.mkdir()
        (folder / "thesis.txt").write_text("precious")
    else:
        folder.write_text("precious")
    commands = FakeCommands()
    with pytest.raises(ConfigError, match="mine exists and is not the folder of a demo"):
        demo(folder, commands)
    assert commands.lines == []
    assert [p.name for p in tmp_path.rglob("*")] == (["mine", "thesis.txt"] if kind == "folder" else ["mine"])


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "empty").mkdir()
    demo(tmp_path / "empty", FakeCommands())
    assert json.loads((tmp_path / "empty" / "demo.json").read_text())["done"].keys() == RESULTS.keys()


def test_a_reader_without_esmm_on_the_path_is_told_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "activate").write_text("")
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert any(". " + str(tmp_path / "bin/activate") in line for line in demo(tmp_path / "a", FakeCommands()).lines)
    monkeypatch.chdir(tmp_path)
    assert any(". bin/activate" in line for line in demo(tmp_path / "a", FakeCommands()).lines)
    (tmp_path / "bin" / "esmm").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "esmm").chmod(0o755)
    assert not any("activate" in line for line in demo(tmp_path / "a", FakeCommands()).lines)


def test_distance_closed_is_0_for_a_coin_and_1_for_the_best_model():
    assert [distance_closed(auc, 0.9) for auc in (0.5, 0.7, 0.9)] == pytest.approx([0, 0.5, 1])


def test_only_tasks_with_a_best_possible_auc_are_compared():
    assert [row[0] for row in auc_rows(METRICS, {"ctr": 0.9})] == ["ctr"]
