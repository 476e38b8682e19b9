import pytest

from launcher.steps.journal import DoneStep
from launcher.steps.speed_table import path_bytes, speed_table, speeds


def test_a_table_leaves_unknown_numbers_empty():
    done = {"train": DoneStep(seconds=2.0, result={}), "x": DoneStep(seconds=0.5, result={})}
    lines = [line.split() for line in speed_table(done, {"train": 2500.0}, {"x": 1500})]
    assert lines[:3] == [
        ["step", "time", "impressions/s", "on", "disk"],
        ["train", "2.0", "s", "2.50", "k"],
        ["x", "0.5", "s", "1.50", "kB"],
    ]
    assert lines[3][0] == "train:"


def test_a_training_is_as_fast_as_its_steps_and_others_as_their_impressions():
    splits = {"train": {"impressions": 3000}, "test": {"impressions": 1000}}
    done = {
        "preprocess": DoneStep(seconds=4.0, result={"splits": splits}),
        "train": DoneStep(seconds=100.0, result={"impressions": 6000, "seconds": 2.0}),
        "evaluate": DoneStep(seconds=0.5, result={}),
    }
    assert speeds(done) == pytest.approx({"preprocess": 1000, "train": 3000, "evaluate": 2000})
    done["train"] = DoneStep(seconds=1.0, result={"impressions": 0, "seconds": 0})  # resumed when it was complete
    assert "train" not in speeds(done)


def test_bytes_of_a_path_are_those_of_files_at_any_depth(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"12345")
    (tmp_path / "c").write_bytes(b"12")
    assert path_bytes(tmp_path) == 7
    assert path_bytes(tmp_path / "c") == 2
    assert path_bytes(tmp_path / "none") == 0
