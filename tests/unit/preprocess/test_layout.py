"""What preprocess chooses from the size of a log."""

import json
from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.progress import NoProgress
from preprocess.config import PreprocessConfig
from preprocess.layout import choose_layout
from preprocess.run import preprocess
from tests.unit.preprocess.raw_logs import make_log, run, small_schema

OPEN = {"min_count": None, "group_size": None, "lanes": None}


@pytest.mark.parametrize(
    ("train_impressions", "min_count", "group_size", "lanes"),
    [
        (0, 1, 1, 16),
        (4_469, 1, 1, 16),
        (33_485, 1, 1, 16),  # a public log of few, active users
        (50_000, 1, 1, 32),
        (57_741, 1, 1, 32),  # KuaiRand-Pure
        (100_000, 2, 1, 64),
        (199_999, 3, 1, 64),
        (200_000, 4, 8, 64),
        (225_000, 4, 8, 64),  # make demo, which gives its own min_count
        (999_999, 19, 8, 64),
        (1_000_000, 20, 8, 64),  # from here on only the lanes grow
        (9_999_999, 20, 8, 64),
        (10_000_000, 20, 8, 128),
        (42_300_135, 20, 8, 128),  # Ali-CCP
        (99_999_999, 20, 8, 128),
        (100_000_000, 20, 8, 256),
    ],
)
def test_the_layout_grows_with_the_log_up_to_that_of_large_ones(train_impressions, min_count, group_size, lanes):
    layout = choose_layout(OPEN, train_impressions)
    assert layout.settings == {"min_count": min_count, "group_size": group_size, "lanes": lanes}
    assert set(layout.reasons) == set(OPEN)


def test_settings_that_are_given_stay_and_have_no_reason():
    layout = choose_layout({"min_count": 3, "group_size": None, "lanes": 5}, 57_741)
    assert layout.settings == {"min_count": 3, "group_size": 1, "lanes": 5}
    assert set(layout.reasons) == {"group_size"}


def test_each_choice_is_said_with_its_reason_and_nothing_is_said_where_all_was_given():
    lines = choose_layout(OPEN, 33_485).lines()
    assert lines[0] == "Settings chosen for a log of 33,485 train impressions (flags override them):"
    assert [line.split(":")[0].split() for line in lines[1:]] == [
        ["min_count", "1"],
        ["group_size", "1"],
        ["lanes", "16"],
    ]
    given = choose_layout({"min_count": 1, "group_size": 1, "lanes": 1}, 33_485)
    assert given.lines() == []


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    log = make_log()
    log.skeleton["train"].append(log.skeleton["train"][0])  # a repeated sample id, which is rejected
    return log.write(tmp_path / "raw")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_data_set_of_chosen_settings_has_the_bytes_of_one_that_gives_them(raw: Path, tmp_path: Path):
    chosen = run(raw, tmp_path / "chosen", **OPEN)
    given = run(raw, tmp_path / "given", min_count=1, group_size=1, lanes=16)
    assert chosen.settings == given.settings
    assert (chosen.lanes, chosen.group_size) == (16, 1)
    assert chosen.report["layout"]["train_impressions"] == 60 == chosen.splits["train"].impressions
    assert set(chosen.report["layout"]["reasons"]) == set(OPEN)
    assert given.report["layout"]["reasons"] == {}
    left, right = bytes_of(tmp_path / "chosen"), bytes_of(tmp_path / "given")
    assert {name for name in left if left[name] != right[name]} == {"manifest.json"}


def test_a_finished_data_set_is_the_same_whether_its_settings_are_given_or_chosen(raw: Path, tmp_path: Path):
    manifest = run(raw, tmp_path / "out", **OPEN)
    assert run(raw, tmp_path / "out", **OPEN) == manifest
    assert run(raw, tmp_path / "out", min_count=1, group_size=1, lanes=16) == manifest
    with pytest.raises(ConfigError, match=r"lanes was 16 and is now 4\."):
        run(raw, tmp_path / "out", **{**OPEN, "lanes": 4})
    run(raw, tmp_path / "other", **{**OPEN, "lanes": 4})
    with pytest.raises(ConfigError, match=r"lanes was 4 and is now 16\."):
        run(raw, tmp_path / "other", **OPEN)


def test_the_choice_is_printed_and_kept(raw: Path, tmp_path: Path):
    class Messages(NoProgress):
        def __init__(self) -> None:
            self.said: list[str] = []

        def message(self, text: str) -> None:
            self.said.append(text)

    messages = Messages()
    schema = str(small_schema(tmp_path / "schema"))
    preprocess(PreprocessConfig(raw=raw, out=tmp_path / "out", schema=schema, max_reject_share=0.5), messages)
    kept = json.loads((tmp_path / "out" / "manifest.json").read_text())["report"]["layout"]
    layout = choose_layout(OPEN, kept["train_impressions"])
    assert layout.report() == kept
    assert len(layout.lines()) == 4
    assert [line for line in messages.said if line in layout.lines()] == layout.lines()
