"""The settings of a pipeline: what is refused before anything begins, with a remedy."""

from datetime import date

import pytest

from esmm_dist.errors import ConfigError
from launcher.cli import main, settings_of_line
from launcher.pipeline.config import PipelineTraining
from tests.unit.launcher.pipeline.pipelines import DAY_1, DAY_2, pipeline


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"raw": " "}, "raw is empty. Give a path or a URI"),
        ({"raw": "raw/{date}"}, r"raw is raw/{date}, in which what stands in braces is not a day. Write {day}"),
        ({"raw": "raw/{day.era}"}, "is not a day"),
        ({"raw": "raw/{"}, "is not a day"),
        ({"day": DAY_1, "until": DAY_2}, "day and until are given together"),
        ({"until": date(2022, 4, 1)}, r"until is 2022-04-01, before first_day \(2022-04-25\)"),
        ({"day": DAY_2, "skip_days": (DAY_2,)}, "day is 2022-04-26, which skip_days leaves out"),
        ({"time_zone": "Berlin"}, "time_zone is 'Berlin', which is not known. Give a name such as Europe/Berlin"),
        ({"time_zone": "/etc/passwd"}, "which is not known"),
        ({"keep_versions": 0}, "keep_versions is 0. Set 1 or more: one is in service"),
        ({"publish": "place/work/models"}, "publish is place/work/models, which lies in work"),
        ({"work": "place/models/work"}, "work is place/models/work, which lies in publish"),
        ({"work": "place/raw/2022-04-25/work"}, "which lies in raw"),
        ({"preprocess": {}}, "preprocess has no schema. Name one"),
        ({"preprocess": {"schema": "x", "out": "y"}}, "preprocess has out. The pipeline gives it to each day"),
        ({"preprocess": {"schema": "x", "lane": 4}}, "unknown setting 'lane'. Did you mean 'lanes'"),
        ({"preprocess": {"schema": "x", "lanes": 0}}, "lanes is 0. Set 1 or more"),
    ],
)
def test_what_is_wrong_is_said(settings, message):
    with pytest.raises(ConfigError, match=message):
        pipeline(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"settings": {"data": "x"}}, "train.settings has data. The pipeline gives it to each day's training"),
        ({"settings": {"store": {"servers": "h:1"}}}, "Servers are started with the training"),
        ({"settings": {"max_stesp": 3}}, "unknown setting 'max_stesp'. Did you mean 'max_steps'"),
        ({"settings": {"max_steps": 0}}, "max_steps is 0"),
        ({"workers": 2}, "servers is 0 and workers is 2"),
        ({"workers": 0, "servers": 1}, "workers is 0. Set 1 or more"),
        ({"workers": 1, "servers": 1, "min_workers": 2}, "Set min <= workers <= max"),
    ],
)
def test_what_is_wrong_with_the_training_is_said(settings, message):
    with pytest.raises(ConfigError, match=message):
        PipelineTraining(**settings)


def test_the_place_of_a_days_log_is_written_with_its_date():
    assert pipeline().raw_of(DAY_2) == "place/raw/2022-04-26"
    assert pipeline(raw="s3://bucket/log/{day:%Y/%m/%d}").raw_of(DAY_2) == "s3://bucket/log/2022/04/26"
    assert pipeline().has_a_folder_per_day
    assert not pipeline(raw="raw").has_a_folder_per_day


def test_a_pipeline_file_is_read_and_flags_override_it(tmp_path):
    (tmp_path / "pipeline.yaml").write_text(
        "raw: raw/{day}\nwork: work\npublish: models\nfirst_day: 2022-04-25\nskip_days: [2022-04-27]\n"
        "preprocess: {schema: aliccp}\ntrain: {workers: 2, servers: 1, settings: {embedding: {embedding_dim: 4}}}\n"
        "gate: {max_auc_drop: 0.01, min_auc: {ctr: 0.6}}\n"
    )
    settings = settings_of_line(["pipeline", f"{tmp_path}/pipeline.yaml", "--until", "2022-04-28", "--servers", "2"])
    assert (settings.first_day, settings.until, settings.skip_days) == (DAY_1, date(2022, 4, 28), (date(2022, 4, 27),))
    assert (settings.train.workers, settings.train.servers) == (2, 2)
    assert settings.gate.min_auc == {"ctr": 0.6}


def test_printed_settings_read_back_give_the_same(tmp_path, capsys):
    (tmp_path / "pipeline.yaml").write_text(
        "raw: raw/{day}\nwork: work\npublish: models\nfirst_day: 2022-04-25\npreprocess: {schema: aliccp}\n"
    )
    assert main(["pipeline", f"{tmp_path}/pipeline.yaml", "--print-config"]) == 0
    (tmp_path / "printed.yaml").write_text(capsys.readouterr().out)
    first, second = (settings_of_line(["pipeline", f"{tmp_path}/{name}.yaml"]) for name in ("pipeline", "printed"))
    assert first == second
