"""The files of a synthetic log, read back by a plain reader: form, statistics, faults, labels, truth."""

import itertools
import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from esmm_dist.model.metrics import auc_standard_error, exact_auc, paired_auc_difference
from preprocess.synthetic.dimensions import REAL_DIMENSIONS, field_ranges, field_sizes
from preprocess.synthetic.impressions import CROSSES
from preprocess.synthetic.synthesize import synthesize
from preprocess.synthetic.users import REAL_LIST_LENGTHS

SPLITS = ("train", "test")


@pytest.mark.parametrize("split", SPLITS)
def test_lines_are_good_impressions_plus_faults_as_reported(log, split):
    read, report = log.splits[split], log.report.splits[split]
    assert report.lines == {"train": 33_000, "test": 11_000}[split]
    assert report.impressions == len(read.impressions)
    assert report.impressions + sum(read.faults.values()) == report.lines
    assert len(read.faults) == 4
    for kind, count in read.faults.items():
        assert report.warts[kind] == count, kind


@pytest.mark.parametrize("split", SPLITS)
def test_common_rows_are_missing_and_duplicated_as_reported(log, split):
    read, report = log.splits[split], log.report.splits[split]
    assert report.common_rows == sum(read.common_lines.values())
    expected = {"train": 1, "test": 0}[split]  # one for each 20,000 of the 33,000 and 11,000 lines
    assert Counter(read.common_lines.values())[2] == report.warts["duplicated_common_row"] == expected
    used = {key for *_, key, _ in read.impressions}
    assert len(used - set(read.common)) == report.warts["missing_common_row"] == 1
    assert set(read.common) <= used
    without = sum(key not in read.common for *_, key, _ in read.impressions)
    assert without == report.without_common_row > 0


def test_common_rows_of_the_splits_have_different_keys(log):
    assert not set(log.splits["train"].common) & set(log.splits["test"].common)


@pytest.mark.parametrize("split", SPLITS)
def test_ids_stay_in_their_fields_range_and_all_fields_occur(log, split):
    sizes = field_sizes(33_000, None)
    assert log.report.field_sizes == sizes
    ranges = field_ranges(sizes, log.config.seed)
    seen: dict[str, set[int]] = {}
    for features in itertools.chain(log.splits[split].common.values(), (i[-1] for i in log.splits[split].impressions)):
        for name, id_text, _ in features:
            seen.setdefault(name, set()).add(int(id_text))
    assert set(seen) == set(REAL_DIMENSIONS)
    for name, ids in seen.items():
        span = ranges[name]
        assert span.base <= min(ids) <= max(ids) < span.base + span.size, name


@pytest.mark.parametrize("split", SPLITS)
def test_no_field_lists_an_id_twice_and_one_hot_fields_hold_at_most_one(log, split):
    multi = {*REAL_LIST_LENGTHS, "210", "853"}
    read = log.splits[split]
    for features in itertools.chain(read.common.values(), (i[-1] for i in read.impressions)):
        assert len({(name, id_text) for name, id_text, _ in features}) == len(features)
        counts = Counter(name for name, *_ in features)
        assert all(count == 1 for name, count in counts.items() if name not in multi)


def test_mean_ids_of_a_field_are_counted_over_impressions(log):
    read, report = log.splits["test"], log.report.splits["test"]
    totals: Counter[str] = Counter()
    counted = 0
    for *_, key, features in read.impressions:
        if key in read.common:
            counted += 1
            totals.update(name for name, *_ in read.common[key] + features)
    for name, total in totals.items():
        # the report also counts the few faulty lines and those without a common row: less than 2% of the lines
        assert report.mean_ids[name] == pytest.approx(total / counted, rel=0.03, abs=0.002), name


def test_lists_have_the_real_mean_lengths_times_the_scale(log):
    for name, real in REAL_LIST_LENGTHS.items():
        # about 570 rows of very different use: their mean is known to some 8%
        assert log.report.splits["train"].mean_ids[name] == pytest.approx(real * 0.2, rel=0.2), name
    assert log.report.splits["train"].mean_ids["210"] == pytest.approx(6.1, rel=0.15)


def test_a_user_has_58_impressions_a_row_in_sessions_that_return(log):
    keys = [key for *_, key, _ in log.splits["train"].impressions]
    per_row = Counter(keys)
    assert len(keys) / len(per_row) == pytest.approx(58, rel=0.15)
    # in a shuffled file the next line of the same user would be some 570 lines away; in sessions it is mostly near
    last: dict[str, int] = {}
    gaps = []
    for at, key in enumerate(keys):
        if key in last:
            gaps.append(at - last[key])
        last[key] = at
    assert np.median(gaps) < 40
    assert np.mean(np.array(gaps) > 1000) > 0.03  # and users come back much later


def test_users_return_in_other_rows_and_in_the_test_split(log):
    users = {s: [f[0][1] for f in log.splits[s].common.values()] for s in SPLITS}
    assert len(set(users["train"])) < len(users["train"])
    assert set(users["train"]) & set(users["test"])


@pytest.mark.parametrize("field", ["205", "206", "207", "110_14", "127_14", "150_14"])
def test_a_tenth_of_a_fields_ids_has_more_than_a_third_of_its_uses(log, field):
    read = log.splits["train"]
    lists = read.common.values() if field.endswith("_14") else (i[-1] for i in read.impressions)
    uses = Counter(id_text for features in lists for name, id_text, _ in features if name == field)
    size = log.report.field_sizes[field]
    assert len(uses) > 0.3 * size  # and yet the tail is long
    assert sum(count for _, count in uses.most_common(max(1, size // 10))) > sum(uses.values()) / 3


def test_a_users_lists_resemble_each_other_in_all_rows_of_the_user(log):
    of_user: dict[str, list[set[str]]] = {}
    for features in log.splits["train"].common.values():
        shops = {id_text for name, id_text, _ in features if name == "110_14"}
        if len(shops) >= 20:
            of_user.setdefault(features[0][1], []).append(shops)

    def resemblance(pairs):  # share of the shorter list that is in both
        return np.mean([len(a & b) / min(len(a), len(b)) for a, b in pairs])

    same = [rows[:2] for rows in of_user.values() if len(rows) > 1]
    firsts = [rows[0] for rows in of_user.values()]
    assert len(same) > 20
    assert resemblance(same) > 2 * resemblance(itertools.pairwise(firsts))


@pytest.mark.parametrize("cross", CROSSES)
def test_crosses_show_the_users_value_for_the_items_own_category_shop_or_brand(log, cross):
    list_field, item_field = CROSSES[cross]
    ranges = field_ranges(field_sizes(33_000, None), log.config.seed)

    def rank(name, id_text):
        return int(ranges[name].rank(np.array([int(id_text) - ranges[name].base]))[0])

    read = log.splits["test"]
    shown = 0
    for *_, key, features in read.impressions[:3000]:
        if key not in read.common:
            continue
        liked = {rank(list_field, i): value for name, i, value in read.common[key] if name == list_field}
        own = [rank(item_field, i) for name, i, _ in features if name == item_field]
        expected = [(r, liked[r]) for r in own if r in liked and r < ranges[cross].size]
        assert [(rank(cross, i), value) for name, i, value in features if name == cross] == expected
        shown += len(expected)
    assert shown > 50


def test_values_are_ln_of_1_plus_a_count_or_fractions(log):
    whole = {f"{round(math.log1p(k), 5)}" for k in range(1, 1001)}
    twelfths = {f"{round(math.log1p(k / 12), 5)}" for k in range(1, 4001)}
    fractions = {f"{round(k / 12, 5)}" for k in range(1, 13)}
    expected = dict.fromkeys(("109_14", "110_14", "127_14", "508", "509", "702"), whole)
    expected |= {"150_14": twelfths, "853": twelfths, "210": fractions}
    read = log.splits["train"]
    for features in itertools.chain(read.common.values(), (i[-1] for i in read.impressions[:5000])):
        for name, _, value in features:
            assert value in expected.get(name, {"1.0"}), name


@pytest.mark.parametrize("split", SPLITS)
def test_conversions_without_a_click_are_as_many_as_reported_and_not_counted(log, split):
    read, report = log.splits[split], log.report.splits[split]
    labels = Counter((click, conversion) for _, click, conversion, _, _ in read.impressions)
    assert labels[0, 1] == report.warts["conversion_without_click"] == 3
    assert labels[1, 0] + labels[1, 1] == report.label_counts["click"]
    assert labels[1, 1] == report.label_counts["conversion"]


def test_click_and_conversion_rates_are_those_asked_for(log):
    # 44,000 impressions at ctr 0.2 and cvr 0.25: 8,800 clicks, 2,200 conversions. The pilot is off by some 3% of the
    # rate, few users by as much again.
    clicks = sum(s.label_counts["click"] for s in log.report.splits.values())
    assert log.config.click_rate == 0.2
    assert clicks / 44_000 == pytest.approx(0.2, rel=0.1)
    conversions = sum(s.label_counts["conversion"] for s in log.report.splits.values())
    assert conversions / clicks == pytest.approx(0.25, rel=0.1)


@pytest.mark.parametrize("split", SPLITS)
def test_truth_holds_every_good_impression_with_its_labels_after_the_chain_rule(log, split):
    read = log.splits[split]
    truth = read.truth.to_pydict()
    assert truth["sample_id"] == [i[0] for i in read.impressions]
    assert truth["click"] == [i[1] for i in read.impressions]
    assert truth["conversion"] == [i[1] * i[2] for i in read.impressions]
    assert 0 < min(truth["pctr"]) < max(truth["pctr"]) < 1


def test_labels_follow_the_true_probabilities(log):
    for split in SPLITS:
        pctr, pcvr, click, conversion = (
            log.splits[split].truth[name].to_numpy() for name in ("pctr", "pcvr", "click", "conversion")
        )
        for p, y in ((pctr, click), (pcvr[click == 1], conversion[click == 1])):
            for part in (p < np.median(p), p >= np.median(p)):
                deviation = math.sqrt((p[part] * (1 - p[part])).sum())
                assert abs(y[part].sum() - p[part].sum()) < 4 * deviation


def test_best_auc_is_that_of_the_true_probabilities_on_test(log):
    pctr, pcvr, click, conversion = (
        log.splits["test"].truth[name].to_numpy() for name in ("pctr", "pcvr", "click", "conversion")
    )
    clicked = click == 1
    for task, scores, labels in (
        ("ctr", pctr, click),
        ("cvr", pcvr[clicked], conversion[clicked]),
        ("ctcvr", pctr * pcvr, conversion),
    ):
        assert log.report.best_auc[task] == pytest.approx(exact_auc(scores, labels), abs=1e-4)
        expected = auc_standard_error(scores, labels)
        assert log.report.best_auc_standard_error[task] == pytest.approx(expected, rel=1e-2)
    assert log.report.last_auc_of_first == pytest.approx(exact_auc(pctr, conversion), abs=1e-4)


def test_knowing_conversions_ranks_them_better_than_clicks_alone(log):
    pctr, pcvr, conversion = (log.splits["test"].truth[name].to_numpy() for name in ("pctr", "pcvr", "conversion"))
    difference, error = paired_auc_difference(pctr * pcvr, pctr, conversion)
    assert difference > 5 * error


@pytest.mark.parametrize("bias", [1.0, -1.0])
def test_with_a_selection_bias_clicked_impressions_convert_otherwise_than_all_would(log, tmp_path, bias):
    config = replace(log.config, out=tmp_path / "raw", selection_bias=bias)
    report = synthesize(config)
    ratios = []
    for folder in (log.folder, config.out):
        truth = pq.read_table(folder / "truth_train.parquet")
        pcvr, click = truth["pcvr"].to_numpy(), truth["click"].to_numpy() == 1
        ratios.append(pcvr[click].mean() / pcvr.mean())
    assert (ratios[1] / ratios[0] - 1) * bias > 0.2
    # of clicks as many convert as without the bias
    counts = report.splits["train"].label_counts
    assert counts["conversion"] / counts["click"] == pytest.approx(0.25, rel=0.1)


def test_synth_json_holds_settings_and_report(log):
    stored = json.loads((log.folder / "synth.json").read_text())
    assert stored["settings"]["seed"] == 7
    assert "out" not in stored["settings"]
    assert stored["report"]["best_auc"] == log.report.best_auc
    assert stored["report"]["splits"]["train"]["warts"] == log.report.splits["train"].warts


def test_report_says_what_its_numbers_mean(log):
    text = "\n".join(log.report.lines())
    assert "33,000 lines" in text
    assert f"{log.report.splits['train'].label_counts['click']:,} clicks" in text
    assert "20.000% of impressions have a click (real set 3.887%)" in text
    assert "too few to learn from" in text
    assert "conversion_without_click 3+3" in text
    assert f"Best AUC that any model can reach on test: ctr {log.report.best_auc['ctr']:.4f}" in text
