"""Steps that run, stop and continue."""

import pytest

from esmm_dist.errors import NumericalError
from esmm_dist.progress import NoProgress
from launcher.command import CommandContext, Outcome
from launcher.steps.journal import open_journal
from launcher.steps.run import run_steps, stopped_outcome
from launcher.steps.step import Step

STEPS = [Step(name=name, args=[name, "x"], why=f"To {name}.") for name in ("synth", "train", "predict")]


class Messages(NoProgress):
    def __init__(self):
        self.texts = []

    def message(self, text):
        self.texts.append(text)


def run(path, *, fails_at=None, stops_at=None):
    """Return what ran, what was shown, and what ``run_steps`` returned."""
    ran, shown = [], Messages()

    def run_line(line):
        if line[0] == fails_at:
            raise NumericalError("loss is nan")
        ran.append(line[0])
        return Outcome(
            lines=[f"{line[0]} reports", "", "at length"],
            result={"stopped_by": "SIGINT"} if line[0] == stops_at else {},
        )

    journal = open_journal(path, STEPS, refused="")
    context = CommandContext(progress=shown, run_line=run_line, settings_of_line=lambda line: None)
    return ran, shown.texts, run_steps(STEPS, journal, context), journal


def test_each_step_is_shown_as_its_line_and_reports_below(tmp_path):
    _, shown, stopped, _ = run(tmp_path / "w.json")
    assert stopped is None
    assert shown[:4] == ["$ esmm synth x    # To synth.", "  synth reports", "", "  at length"]
    assert shown[4:6] == ["", "$ esmm train x    # To train."]


def test_a_step_that_failed_is_the_first_of_the_next_start(tmp_path):
    with pytest.raises(NumericalError):
        run(tmp_path / "w.json", fails_at="train")
    ran, shown, _, _ = run(tmp_path / "w.json")
    assert ran == ["train", "predict"]
    assert f"  done already; remove {tmp_path} to start over" in shown


def test_a_step_that_a_signal_stopped_ends_the_work_and_is_not_done(tmp_path):
    ran, _, stopped, journal = run(tmp_path / "w.json", stops_at="train")
    assert (ran, stopped) == (["synth", "train"], "train")
    outcome = stopped_outcome("The work", "train", journal)
    assert outcome.lines == ["The work stopped at train. Run the same command again to continue."]
    assert (outcome.done, outcome.result["stopped_at"]) == (False, "train")
    assert run(tmp_path / "w.json")[0] == ["train", "predict"]
