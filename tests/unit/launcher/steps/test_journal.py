import json

import pytest

from esmm_dist.errors import ConfigError
from launcher.steps.journal import DoneStep, lines_of, open_journal
from launcher.steps.step import Step

STEPS = [
    Step(name="synth", args=["synth", "my raw"], why="Write a log."),
    Step(name="train", args=["train", "--run", "run"], why="Train."),
]


def open_(path):
    return open_journal(path, STEPS, refused="this is no folder of mine")


def test_a_journal_that_is_read_again_knows_what_is_done(tmp_path):
    path = tmp_path / "new" / "work.json"
    journal = open_(path)
    assert not path.parent.exists()  # opening writes nothing
    journal.add(STEPS[0], DoneStep(seconds=1.5, result={"rows": 3}))
    again = open_(path)
    assert again.done == {"synth": DoneStep(seconds=1.5, result={"rows": 3})}
    assert again.lines == lines_of(STEPS) == ["esmm synth 'my raw'", "esmm train --run run"]


def test_the_lines_are_those_that_the_work_began_with(tmp_path):
    path = tmp_path / "work.json"
    open_(path).write()
    assert open_journal(path, STEPS[:1], refused="").lines == lines_of(STEPS)


@pytest.mark.parametrize("text", ["{", "[]", '{"lines": []}', '{"lines": [], "done": {"synth": 3}}'])
def test_a_damaged_journal_is_named(tmp_path, text):
    (tmp_path / "work.json").write_text(text)
    with pytest.raises(ConfigError, match=r"work.json cannot be read .* Remove .*, or give another folder"):
        open_(tmp_path / "work.json")


def test_a_folder_without_a_journal_is_refused_unless_it_is_empty(tmp_path):
    assert open_(tmp_path / "work.json").done == {}
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigError, match="no folder of mine"):
        open_(tmp_path / "work.json")
    with pytest.raises(ConfigError, match="no folder of mine"):
        open_(tmp_path / "thesis.txt" / "work.json")


def test_the_journal_is_a_file_that_other_programs_can_read(tmp_path):
    open_(tmp_path / "work.json").add(STEPS[1], DoneStep(seconds=2.0, result={}))
    stored = json.loads((tmp_path / "work.json").read_text())
    assert stored == {"lines": lines_of(STEPS), "done": {"train": {"seconds": 2.0, "result": {}}}}
