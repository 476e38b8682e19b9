"""The folder of a study belongs to one process, and to studies alone."""

import pytest

from esmm_dist.errors import ConfigError
from launcher.tune.study_folder import StudyFolder, locked_study


def test_a_second_process_is_held_off(tmp_path):
    with locked_study(tmp_path / "a" / "study") as folder:
        assert folder.path.is_dir()
        with pytest.raises(ConfigError, match="Another esmm tune works on"), locked_study(folder.path):
            pass
    with locked_study(folder.path):
        pass


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "manifest.json").touch()
    with (
        pytest.raises(ConfigError, match=r"holds something else than a study \(manifest.json\)"),
        locked_study(tmp_path),
    ):
        pass
    with pytest.raises(ConfigError, match="is a file. Give a folder"), locked_study(tmp_path / "manifest.json"):
        pass


def test_runs_go_and_settings_and_log_stay(tmp_path):
    folder = StudyFolder(path=tmp_path)
    for seed in (1, 2):
        (folder.run(7, seed) / "checkpoints").mkdir(parents=True)
    folder.log(7).touch()
    folder.remove_runs(7)
    folder.remove_runs(7)
    assert [each.name for each in folder.trial(7).iterdir()] == ["train.log"]
    assert folder.trial(7).name == "0007"
