"""The statistics of raw logs, against pandas on the raw text."""

import datetime
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from esmm_dist.errors import ConfigError, InputDataError, StorageError
from esmm_dist.progress import NoProgress
from esmm_dist.report.data_statistics import raw_statistics
from esmm_dist.report.data_statistics.config import StatsConfig
from esmm_dist.report.data_statistics.gather import data_statistics
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldInSplit
from esmm_dist.report.data_statistics.text import statistics_lines
from esmm_dist.words import short_bytes
from tests.unit.preprocess.events.event_logs import BEGIN, write_log
from tests.unit.preprocess.events.event_logs import make_log as event_log
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import common_line, item, key_of, run, skeleton_line, small_schema, user
from tests.unit.preprocess.raw_logs import make_log as aliccp_log
from tests.unit.preprocess.test_counts_of_days import SCHEMA, accepted, counted, rows, write

KUAIRAND = Path(__file__).parents[5] / "shared/data/kuairand"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, in which nothing may be left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def stats_of(data: Path, schema: str | None = None, **settings: Any) -> DataStatistics:
    return data_statistics(StatsConfig(data=data, schema=schema, **settings), NoProgress())


def in_split(statistics: DataStatistics, name: str, split: str) -> FieldInSplit:
    return next(field for field in statistics.fields if field.name == name).splits[split]


def test_a_flat_log_is_what_pandas_says_it_is(tmp_path: Path, temporary: Path):
    log = rows()
    found = stats_of(**_place(write(tmp_path, log)))
    good = accepted(log)
    whole = counted(good.assign(day="all"))["all"]
    funnel = found.splits["train"].funnel
    assert (found.source_kind, found.sample_share, found.user_field) == ("raw log", 1.0, "user")
    assert {"impressions": funnel.impressions, "labels": funnel.labels, "broken": funnel.broken} == whole
    bad = int((log.click == "?").sum())
    assert found.rejected == {"bad_label": bad, "repeated_sample_id": len(log) - bad - len(good)}
    assert {day: day_funnel.labels for day, day_funnel in found.days["train"].items()} == {
        day: each["labels"] for day, each in counted(good).items() if day
    }
    for name in ("user", "item"):
        assert in_split(found, name, "train").distinct_ids == good[name].nunique()
        assert in_split(found, name, "train").occurrences == len(good)
    assert found.splits["train"].contexts == good.user.nunique()
    assert list(temporary.iterdir()) == []
    shown = "\n".join(statistics_lines(found))
    assert "2024-03-02" in shown
    assert f"lines of the log that were rejected: bad_label {bad}" in shown


def _place(settings: dict[str, Any]) -> dict[str, Any]:
    return {"data": settings["raw"], "schema": settings["schema"]}


def test_the_splits_of_the_schema_are_cut_and_ids_that_train_lacks_are_counted_one_by_one(tmp_path: Path):
    log = rows().drop_duplicates("id")
    settings = write(tmp_path, log, "split: {test_share: 0.4, by: user}")
    found = stats_of(**_place(settings))
    made = run(out=tmp_path / "out", **settings)  # whose records lack the ids that train lacks
    for split in ("train", "test"):
        assert found.splits[split].funnel.labels == made.splits[split].label_counts
    users = [in_split(found, "user", split) for split in ("train", "test")]
    assert sum(each.distinct_ids for each in users) == log[log.click != "?"].user.nunique()
    assert users[1].unseen_ids == users[1].distinct_ids
    assert users[1].unseen_occurrences == users[1].occurrences == found.splits["test"].funnel.impressions


def test_a_log_of_the_ali_ccp_form_with_its_rejects_and_conversions_without_click(tmp_path: Path):
    log = aliccp_log()
    log.skeleton["train"] += [b"7,0", log.skeleton["train"][0], skeleton_line(999, 0, 1, key_of(2), item(3)).encode()]
    found = stats_of(log.write(tmp_path / "raw"), str(small_schema(tmp_path)))
    funnel = found.splits["train"].funnel
    assert (funnel.impressions, funnel.labels) == (61, {"click": 20, "conversion": 6})
    assert funnel.broken == {"conversion": 1}
    assert found.rejected == {"wrong_columns": 1, "repeated_sample_id": 1}
    assert found.days == {}
    items = {n % 7 for n in range(1, 61)} | {3}
    assert in_split(found, "205", "train").distinct_ids == len(items)
    # Impression n of test is of user n * n % 9, and user u has u % 4 categories
    users = [n * n % 9 for n in range(100_001, 100_021)]
    assert in_split(found, "109_14", "test").occurrences == sum(u % 4 for u in users)
    assert found.splits["test"].contexts == len(set(users))


def test_an_event_log_has_its_days_and_the_events_that_were_not_joined(tmp_path: Path):
    log = event_log(200)
    raw, schema = write_log(tmp_path, log)
    found = stats_of(raw, schema)
    labels = np.array(log.labels)
    assert found.splits["train"].funnel.labels == {"click": labels[:, 0].sum(), "buy": labels[:, 1].sum()}
    days = [(BEGIN + datetime.timedelta(seconds=i["shown_at"])).date().isoformat() for i in log.impressions]
    assert {day: each.impressions for day, each in found.days["train"].items()} == Counter(days)
    expected = {
        f"{label}: {fate}": n for label, fates in log.fates.items() for fate, n in fates.items() if fate != "joined"
    }
    assert found.rejected == expected


@pytest.mark.skipif(not KUAIRAND.is_dir(), reason="needs ../shared/data/kuairand")
def test_kuairand_is_what_pandas_says_it_is():
    found = stats_of(KUAIRAND, "kuairand-flat")
    logs = {split: pd.read_parquet(KUAIRAND / f"log_{split}.parquet") for split in ("train", "test")}
    for split, log in logs.items():
        funnel = found.splits[split].funnel
        assert (funnel.impressions, funnel.labels["click"]) == (len(log), log.click.sum())
        assert funnel.labels["conversion"] == (log.click * log.conversion).sum()
        assert funnel.broken["conversion"] == ((1 - log.click) * log.conversion).sum()
        by_day = log.groupby("day").click.agg(["size", "sum"])
        assert [
            (day.replace("-", ""), each.impressions, each.labels["click"]) for day, each in found.days[split].items()
        ] == [(str(day), *counts) for day, counts in zip(by_day.index, by_day.to_numpy().tolist(), strict=True)]
        for name in ("user_id", "video_id", "author_id"):
            assert in_split(found, name, split).distinct_ids == log[name].nunique()
        lists = log.tags.map(lambda tags: [] if tags is None else list(tags))
        assert in_split(found, "tags", split).covered == (lists.map(len) > 0).sum()
    unseen = ~logs["test"].video_id.isin(logs["train"].video_id)
    assert in_split(found, "video_id", "test").unseen_occurrences == unseen.sum()
    assert in_split(found, "video_id", "test").unseen_ids == logs["test"].video_id[unseen].nunique()
    for name in ("user_id", "video_id", "tab"):
        assert in_split(found, name, "test").psi == pytest.approx(
            psi_of_columns(logs["train"][name], logs["test"][name])
        )


def psi_of_columns(train: pd.Series, test: pd.Series) -> float:
    """Return the index of the formula in ``drift``, of columns without missing values."""
    counts, other = train.value_counts(), test.value_counts()
    top, rest = counts[:50], counts[50:]
    assert rest.empty or rest.iloc[0] < top.iloc[-1]  # otherwise the choice of the fifty is open
    old = other.index.isin(counts.index)
    here = np.array([*top, rest[rest > 1].sum(), rest[rest == 1].sum()], float)
    there = np.array(
        [*other.reindex(top.index, fill_value=0), other[old].drop(top.index, errors="ignore").sum(), other[~old].sum()],
        float,
    )
    used = (here > 0) | (there > 0)
    p, q = ((each[used] + 0.5) / (each[used].sum() + used.sum() / 2) for each in (here, there))
    return float(((q - p) * np.log(q / p)).sum())


def triangle(folder: Path, form: str) -> dict[str, Any]:
    """Write a log in which user n has n impressions, of 60 users: the sizes of contexts tell who is in a sample."""
    numbers = [(u, n) for u in range(1, 61) for n in range(u)]
    order = np.random.default_rng(1).permutation(len(numbers))
    shown = [numbers[i] for i in order.tolist()]
    raw = folder / "raw"
    raw.mkdir()
    if form == "aliccp":
        lines = [skeleton_line(n + 1, 1, 0, key_of(u), item(n)) for n, (u, _) in enumerate(shown)]
        users = [common_line(key_of(u), user(u)) for u in range(1, 61)]
        (raw / "sample_skeleton_train.csv").write_text("\n".join(lines + ["bad"] * 100) + "\n")
        (raw / "common_features_train.csv").write_text("\n".join(users) + "\n")
        return {"data": raw, "schema": str(small_schema(folder))}
    columns = ["id", "user", "item", "click", "buy", "like"]
    text = [f"{n},u{u},i{k},1,0,0" for n, (u, k) in enumerate(shown)]
    (raw / "log-0.csv").write_text("\n".join([",".join(columns), *text, *["bad"] * 100]) + "\n")
    (folder / "own.yaml").write_text(SCHEMA % "")
    return {"data": raw, "schema": str(folder / "own.yaml")}


@pytest.mark.parametrize("form", ["aliccp", "flat"])
def test_a_sample_has_all_impressions_of_some_users_and_none_of_the_others(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
):
    place = triangle(tmp_path, form)
    sizes = {}
    for share in (0.2, 0.5):
        found = stats_of(**place, sample=share)
        contexts = found.splits["train"].impressions_a_context
        assert contexts is not None
        assert set(contexts.things) == {1}
        sizes[share] = set(contexts.counts)
        assert found.splits["train"].funnel.impressions == sum(contexts.counts)
        assert found.sample_share == share
        assert abs(len(sizes[share]) - 60 * share) < 4 * (60 * share * (1 - share)) ** 0.5
        assert abs(sum(found.rejected.values()) - 100 * share) < 4 * (100 * share * (1 - share)) ** 0.5
        assert f"A sample: {share:.2%} of the user contexts were read" in "\n".join(statistics_lines(found))
    assert sizes[0.2] < sizes[0.5]
    use_plan(monkeypatch, partitions=5, chunk_bytes=4_000)  # chunks and files do not matter
    again = stats_of(**place, sample=0.5)
    assert again.splits["train"].impressions_a_context == found.splits["train"].impressions_a_context
    assert again.rejected.keys() == found.rejected.keys()


def test_a_sample_of_events_has_whole_users_and_all_events_that_were_not_joined(tmp_path: Path):
    raw, schema = write_log(tmp_path, event_log(400))
    whole, found = stats_of(raw, schema), stats_of(raw, schema, sample=0.4)
    contexts = [each.splits["train"].impressions_a_context for each in (whole, found)]
    assert contexts[0] is not None
    assert contexts[1] is not None
    of_whole = Counter(dict(zip(contexts[0].counts, contexts[0].things, strict=True)))
    assert not Counter(dict(zip(contexts[1].counts, contexts[1].things, strict=True))) - of_whole
    assert 0 < contexts[1].total < contexts[0].total
    assert sum(day.impressions for day in found.days["train"].values()) == found.splits["train"].funnel.impressions
    assert found.rejected == whole.rejected


def test_a_log_without_user_fields_is_sampled_by_lines(tmp_path: Path):
    place = triangle(tmp_path, "flat")
    path = Path(place["schema"])
    path.write_text(path.read_text().replace("{name: user, owner: user}", "{name: user, owner: context}"))
    impressions = stats_of(**place, sample=0.5).splits["train"].funnel.impressions
    assert abs(impressions - 915) < 4 * (1830 * 0.25) ** 0.5


def test_a_sample_without_an_impression_is_refused(tmp_path: Path, temporary: Path):
    with pytest.raises(InputDataError, match=r"sample is 0\.0001, and none of .*raw was chosen: it has few users"):
        stats_of(**triangle(tmp_path, "flat"), sample=0.0001)
    assert list(temporary.iterdir()) == []


def test_a_full_disk_is_told_with_the_room_that_is_needed(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise StorageError("chunks: the system refuses (ENOSPC: No space left on device).")

    monkeypatch.setattr(raw_statistics, "preprocess", full)
    place = write(tmp_path, pd.concat([rows()] * 10))
    size = sum(path.stat().st_size for path in place["raw"].iterdir())
    room = re.escape(short_bytes(10 * size // 2))
    told = rf"ENOSPC.* prepared in {temporary}, which takes up to {room} until .* set TMPDIR"
    with pytest.raises(StorageError, match=told):
        stats_of(**_place(place), sample=0.5)
    assert list(temporary.iterdir()) == []


def test_names_with_any_letters_are_found_in_a_log_whose_schema_is_guessed(tmp_path: Path):
    names = ["😀🇩🇪", "two\nlines", "\u202ertl", "\x85\u2028\x7f", "$x$", "no", "'\""]
    log = pd.DataFrame({name: [f"{name}{i % 3}" for i in range(60)] for name in names})
    log["click"], log["buy"] = [1, 0, 1] * 20, [1, 0, 0] * 20
    log.to_parquet(tmp_path / "log.parquet")
    found = stats_of(tmp_path / "log.parquet")
    assert {each.name: each.splits["train"].distinct_ids for each in found.fields} == dict.fromkeys(names, 3)


def test_a_log_without_a_valid_line_is_refused_without_naming_a_folder_that_is_gone(tmp_path: Path, temporary: Path):
    log = pd.DataFrame({"user": range(9), "item": range(9), "click": [0, 1, 0] * 3, "buy": 0, "id": range(9)})
    log.assign(like=0, click="x").to_csv(tmp_path / "log-0.csv", index=False)
    (tmp_path / "own.yaml").write_text(SCHEMA % "")
    with pytest.raises(InputDataError, match="esmm preprocess lists them") as refused:
        stats_of(tmp_path, str(tmp_path / "own.yaml"))
    assert str(temporary) not in str(refused.value)


def test_a_data_set_takes_no_schema(tmp_path: Path):
    run(out=tmp_path / "out", **write(tmp_path, rows(50).drop_duplicates("id")))
    with pytest.raises(ConfigError, match=r"out is a data set, which has its own schema, and schema is aliccp\. Leave"):
        stats_of(tmp_path / "out", "aliccp")
