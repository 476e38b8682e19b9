"""What is taken out of the train split: whole user contexts as the validation split, and negatives."""

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from esmm_dist.api.data_set import DataSet
from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.schema.manifest import DatasetManifest, read_manifest
from launcher.cli import resolve_line
from preprocess.read.aliccp.line import context_key
from preprocess.read.row_choice import RowChoice
from preprocess.report import report_lines
from tests.unit.preprocess.plans import use_plan
from tests.unit.preprocess.raw_logs import (
    Impression,
    common_line,
    files,
    key_of,
    make_log,
    read_impressions,
    rejects,
    run,
    shard_bytes,
)

FLAT = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {files}
  labels: {{click: clicked, conversion: bought}}
  {more}
fields: {fields}
"""
USER_FIELDS = "[{name: user, owner: user}, {name: city, owner: user}, {name: item, owner: item}]"
ITEM_FIELDS = "[{name: item, owner: item}]"
ROWS = [(n, f"u{n * 7 % 60}" if n % 9 else "", n % 4, n % 13, n, int(n % 3 == 0), int(n % 6 == 0)) for n in range(600)]


def write(
    folder: Path,
    *,
    form: Mapping[str, str] = {},
    named: str = '{train: "log.*"}',
    name: str = "log.csv",
    rows: Iterable[tuple[object, ...]] = ROWS,
) -> tuple[Path, str]:
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    lines = [",".join(map(str, row)) + "\n" for row in rows]
    text = "id,user,city,item,at,clicked,bought\n" + "".join(lines)
    path = folder / "raw" / name
    if name.endswith(".parquet"):
        pq.write_table(pa.csv.read_csv(pa.BufferReader(text.encode())), path, row_group_size=130)
    else:
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    (folder / "own.yaml").write_text(
        FLAT.format(files=named, **({"more": "sample_id: id", "fields": USER_FIELDS} | dict(form)))
    )
    return folder / "raw", str(folder / "own.yaml")


def ids(out: Path, manifest: DatasetManifest, split: str) -> list[int]:
    return [each.sample_id for each in read_impressions(out, manifest, split)]


def contexts(impressions: Iterable[Impression]) -> set[tuple[tuple[str, int, float], ...]]:
    return {each.user for each in impressions}


# --- the validation split -------------------------------------------------------------------------------------------


def test_validation_of_an_ali_ccp_log_has_the_contexts_whose_hash_says_so(tmp_path: Path):
    raw = make_log(300, 40).write(tmp_path / "raw")
    manifest = run(raw, tmp_path / "out", validation_share=0.3)
    users = np.array([context_key(key_of(user).encode()) for user in range(40)], np.uint64)
    chosen = set(np.flatnonzero(RowChoice(validation_share=0.3).validation(users)).tolist())
    expected = [n for n in range(1, 301) if n * n % 40 in chosen]
    assert 30 < len(expected) < 150
    assert list(manifest.splits) == ["train", "validation", "test"]
    assert ids(tmp_path / "out", manifest, "validation") == expected
    assert ids(tmp_path / "out", manifest, "train") == sorted({*range(1, 301)} - {*expected})
    found = [contexts(read_impressions(tmp_path / "out", manifest, split)) for split in ("train", "validation")]
    assert min(map(len, found)) > 0
    assert not found[0] & found[1]
    common = {split: manifest.report["splits"][split]["common"]["lines_in"] for split in ("train", "validation")}
    assert common == {"train": 40 - len(chosen), "validation": len(chosen)}


def test_the_vocabulary_and_what_is_chosen_by_size_come_from_the_rest_of_train(tmp_path: Path):
    rows = [(n, f"u{n}", 0, n, n, 1, 0) for n in range(400)]  # each user has an item of its own
    raw, schema = write(tmp_path, rows=rows)
    manifest = run(raw, tmp_path / "out", schema=schema, validation_share=0.25)
    train = manifest.splits["train"].impressions
    assert 0.65 < train / 400 < 0.85
    vocabulary = manifest.report["vocabulary"]
    assert [vocabulary[name]["distinct_ids"] for name in ("user", "item")] == [train, train]
    assert manifest.report["layout"]["train_impressions"] == train
    unknown = manifest.report["splits"]["validation"]["fields"]["user"]["unknown"]
    assert unknown == manifest.splits["validation"].impressions == 400 - train
    # That its users are unknown is what was asked for; its items could be known
    warned = [text for text in manifest.report["warnings"] if "ids in the validation split" in text]
    assert [text.partition(":")[0] for text in warned] == ["Field 'item'"]


def test_equal_contexts_of_a_flat_log_are_in_one_split_and_rows_without_a_user_in_train(tmp_path: Path):
    rows = [row if row[1] else (*row[:2], "", *row[3:]) for row in ROWS]  # without a user, and without a city
    raw, schema = write(tmp_path, rows=rows)
    manifest = run(raw, tmp_path / "out", schema=schema, validation_share=0.2)
    found = [read_impressions(tmp_path / "out", manifest, split) for split in ("train", "validation")]
    of_context = {(row[1], row[2]): set[int]() for row in rows}
    for number, impressions in enumerate(found):
        for each in impressions:
            of_context[rows[each.sample_id][1:3]].add(number)
    assert all(len(splits) == 1 for splits in of_context.values())
    assert of_context["", ""] == {0}
    assert 0.05 < len(found[1]) / 600 < 0.4


@pytest.mark.parametrize("fields", [USER_FIELDS, USER_FIELDS.replace("owner: user}", "owner: user, missing: id}")])
def test_rows_without_a_user_stay_in_train_also_where_almost_all_is_validation(tmp_path: Path, fields: str):
    rows = [(*row[:1], *(row[1:3] if row[1] else ("", "")), *row[3:]) for row in ROWS]
    raw, schema = write(tmp_path, rows=rows, form={"fields": fields})
    manifest = run(raw, tmp_path / "out", schema=schema, validation_share=0.98)
    without = [row[0] for row in rows if not row[1]]
    assert len(without) > 50
    assert {*without} <= {*ids(tmp_path / "out", manifest, "train")}
    assert manifest.splits["validation"].impressions > 500


def test_impressions_of_an_ali_ccp_log_without_a_user_stay_in_train(tmp_path: Path):
    log = make_log(60, 9)
    log.skeleton["train"][:20] = [line.replace(key_of(n * n % 9).encode(), b"", 1) for n, line in
                                  enumerate(log.skeleton["train"][:20], 1)]  # fmt: skip
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "out", validation_share=0.98)
    assert {*range(1, 21)} <= {*ids(tmp_path / "out", manifest, "train")}
    assert manifest.splits["validation"].impressions > 30


FORMS = {
    "names": {"more": "sample_id: id"},
    "numbers": {"more": ""},
    "no users": {"more": "sample_id: id", "fields": ITEM_FIELDS},
    "no users, numbers": {"more": "", "fields": ITEM_FIELDS},
}


VALIDATION, BOTH = {"validation_share": 0.2}, {"validation_share": 0.1, "keep_negatives": 0.4}
IN_SHORT = [(BOTH, "names"), (BOTH, "no users, numbers")]
"""Both parts are taken out: of a log with users and ids of its own, and of one with neither."""


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        pytest.param(
            settings, form, id=f"{form}-{number}", marks=() if (settings, form) in IN_SHORT else pytest.mark.slow
        )
        for number, settings in enumerate((VALIDATION, BOTH))
        for form in FORMS
    ],
)
def test_workers_chunks_and_packing_do_not_change_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, float], form: str
):
    made = {}
    for name, plan in {
        "whole": {},
        "pieces": {"workers": 2, "chunk_bytes": 900},
        "more": {"workers": 3, "chunk_bytes": 400, "partitions": 5, "piece_items": 60},
    }.items():
        raw, schema = write(tmp_path / name, form=FORMS[form])
        use_plan(monkeypatch, **plan)
        made[name] = run(raw, tmp_path / name / "out", schema=schema, **settings)
    for name, ending in {"packed": "log.csv.gz", "parquet": "log.parquet"}.items():
        raw, schema = write(tmp_path / name, form=FORMS[form], name=ending)
        use_plan(monkeypatch, chunk_bytes=700)
        made[name] = run(raw, tmp_path / name / "out", schema=schema, **settings)
    assert all(made["whole"].splits[split].impressions > 20 for split in ("train", "validation"))
    for name, manifest in made.items():
        outs = [(tmp_path / name / "out", manifest), (tmp_path / "whole" / "out", made["whole"])]
        for split in manifest.splits:
            assert read_impressions(*outs[0], split) == read_impressions(*outs[1], split), (name, split)
        # Without user fields it is the place within the chunk that groups impressions
        assert form.startswith("no users") or shard_bytes(*outs[0]) == shard_bytes(*outs[1]), name


def test_workers_and_chunks_do_not_change_the_bytes_of_an_ali_ccp_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = make_log(120, 30)
    log.skeleton["train"][20:20] = [b"bad line", log.skeleton["train"][3]]
    log.common["train"].append(log.common["train"][1])
    raw = log.write(tmp_path / "raw")
    settings = {"validation_share": 0.3, "keep_negatives": 0.5}
    whole = run(raw, tmp_path / "whole", **settings)
    use_plan(monkeypatch, workers=3, partitions=5, chunk_bytes=300)
    pieces = run(raw, tmp_path / "pieces", **settings)
    assert files(tmp_path / "whole") == files(tmp_path / "pieces")
    for manifest in (whole, pieces):
        for of_split in manifest.report["splits"].values():
            for kind in ("skeleton", "common"):
                table = of_split[kind]
                left_out = table.get("left_out_negatives", 0)
                assert table["lines_in"] == table["rows_out"] + left_out + sum(table["rejected"].values())
    lines = {
        kind: sum(manifest.report["splits"][split][kind]["lines_in"] for split in ("train", "validation"))
        for kind in ("skeleton", "common")
    }
    assert lines == {"skeleton": 122, "common": 31}


def test_a_repeated_line_of_the_validation_split_is_rejected_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    use_plan(monkeypatch, chunk_bytes=500)
    log = make_log(120, 30)
    users = np.array([context_key(key_of(user).encode()) for user in range(30)], np.uint64)
    is_validation = RowChoice(validation_share=0.3).validation(users)
    number = next(n for n in range(1, 121) if is_validation[n * n % 30])
    log.skeleton["train"].insert(50, log.skeleton["train"][number - 1])
    log.skeleton["train"].insert(10, b"cut sho")
    run(log.write(tmp_path / "raw"), tmp_path / "out", validation_share=0.3)
    assert rejects(tmp_path / "out", "validation") == [("sample_skeleton_train.csv", 52, "repeated_sample_id")]
    assert rejects(tmp_path / "out", "train") == [("sample_skeleton_train.csv", 11, "wrong_columns")]


@pytest.mark.parametrize(
    "split", ["split: {test_share: 0.2, by: user}", "split: {test_share: 0.2, by: time, time: at}"]
)
def test_a_test_split_that_the_schema_cuts_out_is_the_same_beside_a_validation_split(tmp_path: Path, split: str):
    raw, schema = write(tmp_path, form={"more": f"sample_id: id\n  {split}"})
    without = run(raw, tmp_path / "without", schema=schema)
    # The ids of all of it are kept, so that the vocabulary does not depend on the cut
    share = run(raw, tmp_path / "share", schema=schema, vocabulary=str(tmp_path / "without"), validation_share=0.2)
    assert shard_bytes(tmp_path / "without", without)["test/lane-000-part-000.tfrecord"]
    tests = [
        {path: data for path, data in shard_bytes(tmp_path / name, manifest).items() if path.startswith("test/")}
        for name, manifest in (("without", without), ("share", share))
    ]
    assert tests[0] == tests[1]
    both = sorted([*ids(tmp_path / "share", share, "train"), *ids(tmp_path / "share", share, "validation")])
    assert share.splits["validation"].impressions > 40
    assert both == ids(tmp_path / "without", without, "train")


def test_a_data_set_without_the_settings_is_byte_for_byte_what_it_was(tmp_path: Path):
    raw, schema = write(tmp_path)
    manifest = run(raw, tmp_path / "out", schema=schema)
    stored = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert {*stored} & {"keep_negatives", "left_out_negatives"} == set()
    assert {*stored["settings"]} & {"keep_negatives", "validation_share"} == set()
    assert (manifest.keep_negatives, manifest.left_out_negatives) == (1.0, 0)
    assert run(raw, tmp_path / "out", schema=schema, validation_share=0.0, keep_negatives=1.0) == manifest


def test_another_share_is_another_data_set(tmp_path: Path):
    raw, schema = write(tmp_path)
    run(raw, tmp_path / "out", schema=schema, validation_share=0.2)
    with pytest.raises(ConfigError, match=r"validation_share was 0\.2 and is now 0\.3"):
        run(raw, tmp_path / "out", schema=schema, validation_share=0.3)
    with pytest.raises(ConfigError, match=r"validation_share was 0\.2 and is now absent"):
        run(raw, tmp_path / "out", schema=schema)


def test_files_of_a_validation_split(tmp_path: Path):
    named = '{train: "log.csv", validation: "chosen.csv", test: "test.csv"}'
    write(tmp_path, rows=ROWS[:300], named=named)
    write(tmp_path, rows=ROWS[300:400], named=named, name="chosen.csv")
    raw, schema = write(tmp_path, rows=ROWS[400:], named=named, name="test.csv")
    manifest = run(raw, tmp_path / "out", schema=schema)
    assert {split: ids(tmp_path / "out", manifest, split) for split in manifest.splits} == {
        "train": [*range(300)],
        "validation": [*range(300, 400)],
        "test": [*range(400, 600)],
    }
    lines = DataSet(path=str(tmp_path / "out"), manifest=manifest).lines()
    assert any(line.startswith("  validation: 100 impressions in ") for line in lines)
    assert any("validation empty" in line and "validation unknown" in line for line in lines)
    with pytest.raises(ConfigError, match=r"validation_share is 0\.1, but the log has a validation split of its own"):
        run(raw, tmp_path / "two", schema=schema, validation_share=0.1)
    assert run(raw, tmp_path / "two", schema=schema, validation_share=0.0).splits == manifest.splits  # the remedy


def test_files_of_a_validation_split_in_the_ali_ccp_form(tmp_path: Path):
    log = make_log(60, 9)
    log.skeleton["validation"] = log.skeleton["train"][40:]
    log.common["validation"] = log.common["train"]
    log.skeleton["train"] = log.skeleton["train"][:40]
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "out")
    assert ids(tmp_path / "out", manifest, "validation") == [*range(41, 61)]
    with pytest.raises(ConfigError, match="sample_skeleton_validation"):
        run(tmp_path / "raw", tmp_path / "two", validation_share=0.1)


def test_a_log_of_too_few_contexts_for_the_share_is_refused_with_remedies_that_work(tmp_path: Path):
    rows = [(n, "u1", 1, n % 13, n, n % 2, 0) for n in range(50)]
    raw, schema = write(tmp_path, rows=rows)
    refused = {}
    for share in (0.01, 0.99):
        with pytest.raises(InputDataError, match="leaves the (train|validation) split without an impression") as e:
            run(raw, tmp_path / f"out-{share}", schema=schema, validation_share=share)
        refused[share] = str(e.value).split()[5]
    assert refused == {0.01: "validation", 0.99: "train"}
    assert [*run(raw, tmp_path / "none", schema=schema, validation_share=0.0).splits] == ["train"]


def test_the_next_day_takes_the_share_over_and_keeps_each_user_in_its_split(tmp_path: Path):
    raw, schema = write(tmp_path / "1", form={"more": ""}, rows=ROWS)
    first = run(raw, tmp_path / "data-1", schema=schema, validation_share=0.3, keep_negatives=0.5)
    later = [(n, user, city, n % 5, *rest) for n, user, city, _, *rest in reversed(ROWS)]
    tomorrow, _ = write(tmp_path / "2", form={"more": ""}, rows=later)
    line = ["preprocess", str(tomorrow), str(tmp_path / "data-2"), "--like", str(tmp_path / "data-1")]
    settings = resolve_line(line).values
    assert (settings["validation_share"], settings["keep_negatives"]) == (0.3, 0.5)
    whole = resolve_line([*line, "--validation-share", "0", "--keep-negatives", "1"]).values
    assert (whole["validation_share"], whole["keep_negatives"]) == (0.0, 1.0)
    second = run(tomorrow, tmp_path / "data-2", schema=None, like=str(tmp_path / "data-1"), validation_share=0.3)
    of_day = [
        {rows[n - 1][1:3] for n in ids(tmp_path / f"data-{day}", manifest, "validation")}
        for day, manifest, rows in ((1, first, ROWS), (2, second, later))
    ]
    assert len(of_day[0]) > 10
    assert of_day[0] == of_day[1]


def test_a_log_to_be_scored_needs_no_train_split_beside_an_inherited_share(tmp_path: Path):
    raw, schema = write(tmp_path / "1")
    run(raw, tmp_path / "data-1", schema=schema, validation_share=0.3)
    tomorrow, schema = write(tmp_path / "2", named='{test: "log.*"}')
    like = str(tmp_path / "data-1")
    manifest = run(tomorrow, tmp_path / "data-2", schema=schema, like=like, validation_share=0.3)
    assert {split: of.impressions for split, of in manifest.splits.items()} == {"test": 600}


NUMERIC = (
    "[{name: user, owner: user}, {name: at, owner: user, numeric: {buckets: quantile 4}}, {name: item, owner: item}]"
)


@pytest.mark.parametrize(
    "form",
    [
        {"fields": NUMERIC},
        {"fields": NUMERIC.replace("owner: user}, {name: at, owner: user", "owner: item}, {name: at, owner: user")},
        {"fields": NUMERIC.replace("owner: user", "owner: item"), "more": ""},
        {"fields": NUMERIC.replace("{name: user, owner: user}", "{name: user, owner: user, missing: id}")},
    ],
    ids=["by user", "a number alone is no user", "by numbered rows", "a user that is missing is an id"],
)
def test_edges_of_numbers_come_from_what_is_left_in_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: dict[str, str]
):
    """``at`` is the row's number, so the edges tell which rows were looked at."""
    settings = {"validation_share": 0.3, "keep_negatives": 0.5}
    made, edges, splits = {}, {}, {}
    for name, ending in {"csv": "log.csv", "parquet": "log.parquet", "gz": "log.csv.gz"}.items():
        raw, schema = write(tmp_path / name, form=form, name=ending)
        use_plan(monkeypatch, chunk_bytes=10**6 if name == "csv" else 700)
        made[name] = run(raw, tmp_path / name / "out", schema=schema, **settings)
        numeric = made[name].schema.field("at").numeric
        assert numeric is not None
        assert numeric.edges is not None
        edges[name] = list(numeric.edges)
        splits[name] = {s: ids(tmp_path / name / "out", made[name], s) for s in made[name].splits}
    assert edges["csv"] == edges["parquet"] == edges["gz"]
    assert splits["csv"] == splits["parquet"] == splits["gz"]
    first = 1 if form.get("more") == "" else 0  # numbered rows begin with 1
    left = sorted({*range(first, 600 + first)} - {*splits["csv"]["validation"]})
    assert 50 < len(splits["csv"]["validation"]) < 300
    expected = [left[-(-k * len(left) // 4) - 1] - first for k in (1, 2, 3)]
    assert edges["csv"] == expected
    if "{name: user, owner: user" in form["fields"]:  # rows of one user are in one split, whatever their numbers
        of_user: dict[str, set[bool]] = {}
        for row in ROWS:
            of_user.setdefault(row[1], set()).add(row[0] in splits["csv"]["validation"])
        assert all(len(found) == 1 for found in of_user.values())
        assert of_user[""] == {False}


# --- negatives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_negatives_of_train_are_left_out_by_a_hash_of_the_sample_id_and_counted(tmp_path: Path, form: str):
    raw, schema = write(tmp_path, form=FORMS[form])
    whole = run(raw, tmp_path / "whole", schema=schema, validation_share=0.2)
    manifest = run(raw, tmp_path / "out", schema=schema, validation_share=0.2, keep_negatives=0.25, seed=5)
    before = read_impressions(tmp_path / "whole", whole, "train")
    numbers, labels = np.array([each.sample_id for each in before]), np.array([each.labels for each in before])
    left_out = RowChoice(keep_negatives=0.25, seed=5).left_out(numbers, labels.astype(np.uint8))
    assert ids(tmp_path / "out", manifest, "train") == numbers[~left_out].tolist()
    assert ids(tmp_path / "out", manifest, "validation") == ids(tmp_path / "whole", whole, "validation")
    assert manifest.splits["train"].label_counts == whole.splits["train"].label_counts
    assert (manifest.keep_negatives, manifest.left_out_negatives) == (0.25, int(left_out.sum()))
    table = manifest.report["splits"]["train"]["log"]
    assert table["left_out_negatives"] == left_out.sum() > 100
    assert table["lines_in"] == table["rows_out"] + left_out.sum()
    assert "left_out_negatives" not in manifest.report["splits"]["validation"]["log"]
    said = f"{table['rows_out']} impressions kept, {left_out.sum()} negatives left out, 0 rejected."
    assert any(said in line for line in report_lines(manifest.report))
    assert read_manifest(tmp_path / "out") == manifest
    assert run(raw, tmp_path / "out", schema=schema, validation_share=0.2, keep_negatives=0.25, seed=5) == manifest


def test_test_stays_whole_and_every_raw_line_is_accounted_for(tmp_path: Path):
    log = make_log(120, 30)
    log.skeleton["train"][20:20] = [b"bad line", log.skeleton["train"][3]]
    raw = log.write(tmp_path / "raw")
    manifest = run(raw, tmp_path / "out", keep_negatives=0.3)
    assert manifest.splits["test"].impressions == 40
    table = manifest.report["splits"]["train"]["skeleton"]
    assert table["lines_in"] == 122 == table["rows_out"] + table["left_out_negatives"] + sum(table["rejected"].values())
    assert manifest.splits["train"].label_counts["click"] == 40
    assert table["rejected"]["wrong_columns"] == 1


def test_a_log_whose_train_impressions_are_all_left_out_is_refused(tmp_path: Path):
    raw, schema = write(tmp_path, rows=[(*row[:5], 0, 0) for row in ROWS[:20]])
    with pytest.raises(
        InputDataError, match="keep_negatives = 1e-05 leaves the train split without an impression: all"
    ):
        run(raw, tmp_path / "out", schema=schema, keep_negatives=0.00001)
    manifest = run(raw, tmp_path / "out", schema=schema, keep_negatives=1.0)  # the remedy
    assert any("Label 'click' is 0 in all 20 impressions" in text for text in manifest.report["warnings"])


def test_a_user_without_an_impression_that_is_kept_counts_for_no_id(tmp_path: Path):
    log = make_log(60, 9)
    log.common["train"].append(common_line(key_of(99), [("101", 77, 1.0)]).encode())
    manifest = run(log.write(tmp_path / "raw"), tmp_path / "out", keep_negatives=0.3)
    assert manifest.report["splits"]["train"]["unused_common_rows"] >= 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("validation_share", 1.0, r"validation_share is 1\. Set a share of at least 0 and below 1"),
        ("validation_share", -0.1, r"validation_share is -0\.1\."),
        ("validation_share", float("nan"), r"validation_share is nan\."),
        ("keep_negatives", 0.0, r"keep_negatives is 0\. Set a probability above 0 and at most 1"),
        ("keep_negatives", 1.5, r"keep_negatives is 1\.5\."),
    ],
)
def test_settings_out_of_their_range_are_refused(tmp_path: Path, name: str, value: float, message: str):
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, tmp_path / "out", schema="aliccp", **{name: value})


def test_a_user_is_in_one_split_however_its_other_fields_change(tmp_path: Path):
    """Histories that grow with every impression, and a city that changes, make contexts of their own."""
    raw = tmp_path / "raw"
    raw.mkdir()
    rows = [
        (f"u{n % 50}", f"c{n % 7}", "|".join(f"i{k}" for k in range(n % 5)), n % 13, n % 3 == 0) for n in range(1000)
    ]
    lines = [f"{user},{city},{history},{item},{int(click)},0" for user, city, history, item, click in rows]
    (raw / "log.csv").write_text("\n".join(["user,city,history,item,clicked,bought", *lines]) + "\n")
    fields = (
        "[{name: user, owner: user}, {name: city, owner: user}, {name: item, owner: item}, "
        "{name: history, owner: user, multi_hot: true, ids_of: item}]"
    )
    schema = tmp_path / "own.yaml"
    schema.write_text(FLAT.format(files="{train: log.csv}", more="", fields=fields))
    run(raw, tmp_path / "data", schema=str(schema), validation_share=0.3, min_count=1)
    manifest = read_manifest(tmp_path / "data")
    users = {}
    for split in ("train", "validation"):
        coverage = manifest.report["splits"][split]["fields"]["user"]
        users[split] = manifest.splits[split].impressions
        assert coverage["unknown"] == (0 if split == "train" else users[split])
    assert sum(users.values()) == len(rows)
    assert all(count % 20 == 0 for count in users.values())  # each user has 20 impressions
    assert 5 * 20 <= users["validation"] <= 25 * 20
