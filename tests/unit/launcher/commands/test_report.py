"""``esmm report``: from the command line to the page."""

import json
import os

import pytest

from esmm_dist.errors import ConfigError
from launcher.cli import main
from launcher.commands.registry import COMMANDS
from launcher.settings.resolve import resolve
from tests.support.written_run import evaluation, losses, write_run


@pytest.fixture
def runs(tmp_path):
    for name, auc in (("a", 0.7), ("b", 0.71)):
        found = [evaluation(step, ctr=auc - 1 / step) for step in range(100, 501, 100)]
        write_run(tmp_path / name, evaluations=found, train_log=losses(500), settings={"seed": len(name) + ord(name)})
    return tmp_path


@pytest.mark.parametrize("words", [["a", "b"], ["a,b"], ["a,", "b"]])
def test_several_runs_are_words_or_stand_between_commas(words):
    found = resolve(COMMANDS["report"], [*words, "--html", "page.html"])
    assert found.values["runs"] == ("a", "b")


def test_without_a_run_the_command_says_how_it_is_given(capsys):
    assert main(["report"]) == 2
    assert "runs is empty. Name at least one run: esmm report RUN" in capsys.readouterr().err


def test_a_page_pictures_and_json_are_of_the_same_numbers(runs, capsys):
    page, png = runs / "page.html", runs / "png"
    line = ["report", str(runs / "a"), str(runs / "b"), "--html", str(page), "--png", str(png), "--no-score", "--json"]
    assert main(line) == 0
    result = json.loads(capsys.readouterr().out)
    assert [each["label"] for each in result["runs"]] == ["a", "b"]
    assert result["runs"][1]["evaluations"][-1]["metrics"]["ctr"]["auc"] == pytest.approx(0.71 - 1 / 500)
    assert '<figure id="learning-curves"' in page.read_text()
    assert "learning-curves.png" in os.listdir(png)


def test_the_text_says_facts_findings_and_in_what_runs_differ(runs, capsys):
    assert main(["report", str(runs / "a"), str(runs / "b"), "--no-score"]) == 0
    text = capsys.readouterr().out
    assert "a: training steps 500, ctr AUC on test 0.6980 ± 0.0040" in text
    assert "1 setting differs between the runs." in text
    assert not list(runs.glob("*.html"))


def test_a_place_without_a_run_is_refused(tmp_path):
    from esmm_dist.progress import NoProgress
    from esmm_dist.report.run_page.config import ReportConfig
    from esmm_dist.report.run_page.gather import gather_report

    with pytest.raises(ConfigError, match="There is no run at"):
        gather_report(ReportConfig(runs=(str(tmp_path / "none"),)), NoProgress())
