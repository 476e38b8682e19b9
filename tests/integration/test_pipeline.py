"""A pipeline on a planted log: three days, of which one is worse; killed between any two writes of its publishing."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.process.signals import StoppedBySignal
from esmm_dist.progress import NoProgress
from esmm_dist.schema.data_set_id import data_set_id
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.storage.copy import copy_tree
from esmm_dist.storage.folder import Folder
from launcher.cli import main, run_line, settings_of_line
from launcher.command import Outcome
from launcher.pipeline import put_into_service as publishing
from launcher.pipeline.run import GATE_STATUS, run_pipeline
from launcher.pipeline.state import StateFile
from launcher.terminal.json_line import json_value
from tests.support.folder_content import folder_content
from tests.support.killed_lines import KILLED, LineKiller
from tests.support.planted_days import DAYS, write_day, write_planted
from tests.unit.launcher.commands.played_context import Messages, make_context

pytestmark = pytest.mark.timeout(300)


def in_this_process(line, progress) -> dict[str, Any]:
    """Run a line here instead of as a process of its own: importing TensorFlow for each takes seconds."""
    found: dict[str, Any] = json_value(run_line(line).result)
    return found


def run(file: Path, *flags: str) -> tuple[Outcome, list[str]]:
    """Return what a pipeline reports, and its messages."""
    progress = Messages()
    context = make_context(progress=progress, run_line=run_line)
    outcome = run_pipeline(settings_of_line(["pipeline", str(file), *flags]), context, in_this_process)
    return outcome, progress.texts


def lines_run(messages: list[str]) -> list[str]:
    """Return the commands that were run, not skipped."""
    shown = [(text, after) for text, after in zip(messages, [*messages[1:], ""], strict=True) if text.startswith("$ ")]
    return [text.split()[2] for text, after in shown if not after.startswith("  skipped")]


@pytest.fixture(scope="module")
def at_publishing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder ``days`` in which one day is published and the second is about to be; ``stopped`` holds a copy of it."""
    folder = tmp_path_factory.mktemp("pipeline")
    days = folder / "days"
    days.mkdir()
    file = write_planted(days, 2)
    first, messages = run(file, "--day", str(DAYS[0]))
    assert first.done
    assert lines_run(messages) == ["preprocess", "train", "evaluate", "checkpoints", "export"]
    with pytest.MonkeyPatch.context() as patch:

        def stop(*arguments: object) -> None:
            raise StoppedBySignal(15)

        patch.setattr(publishing, "put_version", stop)
        with pytest.raises(StoppedBySignal):
            run(file, "--until", str(DAYS[1]))
    shutil.copytree(days, folder / "stopped")
    return folder


@pytest.fixture
def days(at_publishing: Path) -> Path:
    """The folder as it was before the second day's publishing."""
    shutil.rmtree(at_publishing / "days")
    shutil.copytree(at_publishing / "stopped", at_publishing / "days")
    return at_publishing / "days"


@pytest.fixture(scope="module")
def killer() -> Iterator[LineKiller]:
    with LineKiller() as found:
        yield found


def published(folder: Path, publish: Folder | None = None) -> dict[str, bytes]:
    """Return all that a pipeline leaves for others: what is published, its state, its pins."""
    pins = {path.name: b"" for path in (folder / "work/run/checkpoints").glob("*.pin")}
    state = (folder / "work/pipeline.json").read_bytes()
    return {**folder_content(publish or Folder.open(folder / "models")), **pins, "pipeline.json": state}


def test_a_second_day_replaces_the_first(days: Path):
    outcome, messages = run(days / "pipeline.yaml", "--until", str(DAYS[1]))
    assert outcome.done
    # All of the day up to the export was done before
    assert lines_run(messages) == ["checkpoints", "checkpoints"]
    current = json.loads((days / "models/current.json").read_text())
    assert (current["version"], current["day"], current["run"]) == (2, str(DAYS[1]), str(days / "work/run"))
    assert current["data_set"] == data_set_id(read_manifest(days / f"work/days/{DAYS[1]}/data"))
    assert sorted(path.name for path in (days / "models").iterdir()) == ["2", "current.json"]
    assert (days / "models/2/saved_model.pb").is_file()
    state = StateFile(Folder.open(days / "work")).read()
    assert state.pinned == (current["step"],)
    assert not (days / f"work/days/{DAYS[1]}/model").exists()
    # The report: progressive validation of the second day, and the model in service beside the new one
    of_day = outcome.result["days"][str(DAYS[1])]
    assert set(of_day["progressive"]) == set(of_day["metrics"]) == set(of_day["in_service_metrics"])
    assert of_day["progressive"]["ctr"]["impressions"] == of_day["impressions"]["train"]
    assert outcome.result["days"][str(DAYS[0])]["progressive"] == {}
    assert any(line.startswith(str(DAYS[1])) and " passed " in f"{line} " for line in outcome.lines)


def test_what_is_done_is_skipped_and_the_report_is_the_same(days: Path):
    first, _ = run(days / "pipeline.yaml", "--until", str(DAYS[1]))
    before = published(days)
    again, messages = run(days / "pipeline.yaml", "--until", str(DAYS[1]))
    assert lines_run(messages) == []
    assert published(days) == before
    assert again == first


@pytest.mark.parametrize(
    ("place", "every"),
    [
        ("disk", 5),
        ("store", 8),
        pytest.param("disk", 1, marks=pytest.mark.slow),
        pytest.param("store", 1, marks=pytest.mark.slow),
    ],
)
def test_killed_between_two_changes_of_its_publishing_it_ends_the_same(
    place: str, every: int, at_publishing: Path, killer: LineKiller, request: pytest.FixtureRequest
):
    days, stopped = at_publishing / "days", at_publishing / "stopped"
    uri = request.getfixturevalue("s3").uri("bucket/models") if place == "store" else str(days / "models")
    publish = Folder.open(uri)
    line = ["pipeline", str(days / "pipeline.yaml"), "--until", str(DAYS[1]), "--publish", uri]

    def begin() -> None:
        """Go back to where the first day is published and the second is about to be."""
        publish.delete()
        shutil.rmtree(days)
        shutil.copytree(stopped, days)
        if place == "store":
            copy_tree(Folder.open(stopped / "models"), publish, NoProgress())

    begin()
    assert killer.run(line) == 0
    expected = published(days, publish)
    kills = 0
    for number in range(1, 200, every):
        begin()
        status = killer.run(line, kill_before=number)
        if status == 0:
            break
        assert status == KILLED
        kills += 1
        assert killer.run(line) == 0
        assert published(days, publish) == expected, f"killed before change {number}"
    # Five files of a model, their folder, current.json, the state and the pins twice, what version 1 leaves
    assert kills * every >= 15


def test_a_worse_day_is_refused_and_the_next_one_goes_on(days: Path):
    file = days / "pipeline.yaml"
    run(file, "--until", str(DAYS[1]))
    write_day(days / "raw", DAYS[2], shuffled=True)
    for folder in ("work/days", "raw"):  # of days that are over nothing is needed
        shutil.rmtree(days / folder / str(DAYS[0]))
    current = (days / "models/current.json").read_bytes()
    outcome, messages = run(file, "--until", str(DAYS[2]))
    assert (outcome.done, outcome.failed_status) == (False, GATE_STATUS)
    assert (days / "models/current.json").read_bytes() == current
    assert f"Gate of {DAYS[2]}: refused. Version 2 stays in service." in messages
    assert any("look at the labels of this day" in text for text in messages)
    assert outcome.result["refused"] == [str(DAYS[2])]
    assert any(line.startswith(f"The model of {DAYS[2]} was refused by the gate") for line in outcome.lines)
    # The same command says the same, and trains nothing
    again, messages = run(file, "--until", str(DAYS[2]))
    assert again == outcome
    assert lines_run(messages) == []
    # A gate that is opened lets it through
    outcome, messages = run(file, "--until", str(DAYS[2]), "--max-auc-drop", "1", "--max-day-auc-drop", "1")
    assert lines_run(messages) == ["checkpoints", "export", "checkpoints"]
    assert json.loads((days / "models/current.json").read_text())["day"] == str(DAYS[2])
    assert outcome.done


def test_a_model_that_somebody_removed_is_published_again(days: Path):
    file = days / "pipeline.yaml"
    run(file, "--until", str(DAYS[1]))
    files = sorted(path.relative_to(days) for path in (days / "models").rglob("*") if path.is_file())
    shutil.rmtree(days / "models/2")
    _, messages = run(file, "--until", str(DAYS[1]))
    assert lines_run(messages) == ["checkpoints", "export"]
    assert files == sorted(path.relative_to(days) for path in (days / "models").rglob("*") if path.is_file())


def test_a_day_without_a_log_is_named_and_those_before_it_are_done(days: Path, capsys):
    run(days / "pipeline.yaml", "--until", str(DAYS[1]))
    line = ["pipeline", str(days / "pipeline.yaml"), "--until", str(DAYS[2])]
    assert main(line) == 1
    assert f"There is no log of {DAYS[2]} at {days}/raw/{DAYS[2]}." in capsys.readouterr().err
    assert main([*line, "--skip-days", str(DAYS[2])]) == 0


def test_two_at_once_are_refused(days: Path, capsys):
    from launcher.trainings.locked_folder import locked_folder

    with locked_folder(
        days / "work", marker="pipeline.json", what="a pipeline", command="esmm pipeline", setting="work"
    ):
        assert main(["pipeline", str(days / "pipeline.yaml"), "--until", str(DAYS[1])]) == 2
    assert "Another esmm pipeline works on" in capsys.readouterr().err


def test_what_the_gate_cannot_judge_is_said_before_the_training(tmp_path: Path, capsys):
    line = ["pipeline", str(write_planted(tmp_path, 1)), "--day", str(DAYS[0])]
    assert main([*line, "--split", "test"]) == 2
    assert f"The data set of {DAYS[0]} has no test split to compare models on; its splits are train, valid" in (
        capsys.readouterr().err
    )
    assert main([*line, "--tasks", "ctr,order"]) == 2
    assert "gate names the task order, but the labels of" in capsys.readouterr().err
    assert not (tmp_path / "work/run").exists()


def test_a_log_that_has_changed_before_it_was_learned_from_makes_another_data_set(tmp_path: Path):
    file = write_planted(tmp_path, 1)
    progress = Messages()
    context = make_context(progress=progress, run_line=run_line)
    settings = settings_of_line(["pipeline", str(file), "--day", str(DAYS[0])])

    def stop(line, progress):
        raise StoppedBySignal(15)

    for impressions in (700, 750):
        write_day(tmp_path / "raw", DAYS[0], impressions=impressions)
        with pytest.raises(StoppedBySignal):
            run_pipeline(settings, context, stop)
        splits = read_manifest(tmp_path / f"work/days/{DAYS[0]}/data").splits
        assert sum(split.impressions for split in splits.values()) == impressions
    # Touched, and the same: preprocess finds that out, and the data set stays
    (tmp_path / f"raw/{DAYS[0]}/log.csv").touch()
    with pytest.raises(StoppedBySignal):
        run_pipeline(settings, context, stop)
    assert any("already holds this data set" in text for text in progress.texts) or progress.texts
