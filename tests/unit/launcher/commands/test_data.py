"""``esmm synth`` and ``esmm preprocess``, and the settings that a data set passes on."""

from pathlib import Path

import pytest

from esmm_dist.api.data_set import DataSet
from esmm_dist.errors import InputDataError
from esmm_dist.schema.manifest import read_manifest
from launcher.commands.data import preprocess_command, settings_like, synth_command
from launcher.commands.data_set_report import report_mapping
from preprocess.config import PreprocessConfig
from preprocess.synthetic.config import SynthConfig
from tests.unit.launcher.commands.played_context import CONTEXT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    synth_command(SynthConfig(out=made / "raw", impressions=300), CONTEXT)
    return made


@pytest.fixture(scope="module")
def outcome(folder):
    settings = PreprocessConfig(
        raw=folder / "raw", out=folder / "data", schema="aliccp", workers=1, min_count=3, lanes=2, seed=4
    )
    return preprocess_command(settings, CONTEXT)


def test_a_synthetic_log_reports_the_best_auc_of_each_task(tmp_path):
    outcome = synth_command(SynthConfig(out=tmp_path / "raw", impressions=300), CONTEXT)
    assert set(outcome.result["best_auc"]) == {"ctr", "cvr", "ctcvr"}
    assert outcome.lines
    assert (tmp_path / "raw" / "synth.json").is_file()


def test_a_data_set_is_reported_as_its_manifest_has_it(folder, outcome):
    manifest = read_manifest(folder / "data")
    assert list(outcome.lines) == DataSet(path=str(folder / "data"), manifest=manifest).lines()
    assert outcome.result == report_mapping(folder / "data", manifest)
    # 300 impressions, the default quarter of them in test
    assert sum(split["impressions"] for split in outcome.result["splits"].values()) == 300


def test_like_passes_on_the_settings_that_decide_a_data_set(folder, outcome):
    found = settings_like({"like": str(folder / "data")})
    assert found is not None
    assert (found["min_count"], found["lanes"], found["seed"]) == (3, 2, 4)
    assert "raw" not in found
    assert "out" not in found


def test_without_like_nothing_is_passed_on_and_a_wrong_one_is_named(tmp_path):
    assert settings_like({}) is None
    assert settings_like({"run": "r"}) is None
    with pytest.raises(InputDataError, match=f"{tmp_path} holds no manifest"):
        settings_like({"like": str(tmp_path)})
