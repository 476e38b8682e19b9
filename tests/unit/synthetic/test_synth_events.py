"""Synthetic logs of events: joined again they are the flat log that was drawn."""

import json
from pathlib import Path

import pyarrow.csv as pacsv
import pytest

from esmm_dist.errors import ConfigError
from preprocess.synthetic import events as synthetic_events
from preprocess.synthetic.block import Generator
from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.events import synthesize_events
from preprocess.synthetic.synthesize import synthesize
from tests.unit.preprocess.raw_logs import files, read_impressions, run


def small(out: Path, **settings: object) -> SynthConfig:
    return SynthConfig(out=out, form="events", impressions=1500, **settings)  # type: ignore[arg-type]


def test_joined_events_are_the_drawn_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(synthetic_events, "BLOCK_IMPRESSIONS", 600)
    config = small(tmp_path / "raw", stages=3)
    report = synthesize_events(config)
    made = run(tmp_path / "raw", tmp_path / "data", schema=str(tmp_path / "raw/schema.yaml"))
    found = sorted(
        (i for split in ("train", "test") for i in read_impressions(tmp_path / "data", made, split)),
        key=lambda i: i.sample_id,
    )
    assert [i.sample_id for i in found] == list(range(1, 1501))
    generator, first_row, drawn = Generator(config), 0, []
    for done in range(0, 1500, 600):
        block = generator.block(0, done, min(600, 1500 - done), 1500, first_row)
        first_row += block.common.users.size
        drawn += [tuple(row) for row in block.labels.tolist()]
    assert [i.labels for i in found] == drawn
    joined = made.report["events"]["labels"]
    for label in ("click", "cart", "purchase"):
        assert joined[label]["joined"] == report.label_counts[label] > 0
        assert joined[label]["rejected"] == {reason: n for reason, n in report.planted[label].items() if n}
    assert sum(map(bool, report.planted["click"].values())) == 4  # each kind was drawn


def test_same_seed_gives_the_same_bytes_and_replaces_an_earlier_log(tmp_path: Path):
    synthesize_events(small(tmp_path / "a"))
    synthesize_events(small(tmp_path / "b", seed=2))
    assert files(tmp_path / "a") != files(tmp_path / "b")
    synthesize_events(small(tmp_path / "b"))
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert json.loads((tmp_path / "a/synth.json").read_text())["report"]["impressions"] == 1500


def test_impressions_are_spread_over_the_days(tmp_path: Path):
    synthesize_events(small(tmp_path / "a", days=3))
    table = pacsv.read_csv(tmp_path / "a/impressions/part-00000.csv")
    days = [time.date().isoformat() for time in table.column("shown_at").to_pylist()]
    assert {day: days.count(day) for day in days} == {"2024-01-01": 500, "2024-01-02": 500, "2024-01-03": 500}


def test_folder_of_something_else_is_refused(tmp_path: Path):
    (tmp_path / "own.csv").write_text("x")
    with pytest.raises(ConfigError, match="holds files, and no synth.json beside them says"):
        synthesize_events(small(tmp_path))
    synthesize_events(small(tmp_path / "raw"))
    with pytest.raises(ConfigError, match="holds a log of events"):
        synthesize(SynthConfig(out=tmp_path / "raw", impressions=100))


def test_days_are_those_of_events_alone(tmp_path: Path):
    with pytest.raises(ConfigError, match="days is 3, but a log in the Ali-CCP form has no times"):
        SynthConfig(out=tmp_path, days=3)
    with pytest.raises(ConfigError, match=r"days is 0\. Set 1 to 366"):
        small(tmp_path, days=0)
