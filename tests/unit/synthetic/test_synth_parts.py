"""The generator's building blocks, each against its formula or by hand."""

import math

import numpy as np
import pytest

from esmm_dist.model.metrics import auc_standard_error, exact_auc
from esmm_dist.schema.label_tree import LabelTree
from preprocess.synthetic.best_auc import BinnedAuc
from preprocess.synthetic.cells import Part, build_lines, decimal_texts, hex_texts
from preprocess.synthetic.dimensions import REAL_DIMENSIONS, field_ranges, field_sizes
from preprocess.synthetic.draws import (
    group_members,
    hashed_standard,
    hashed_uniform,
    heavy_counts,
    scattered_keys,
    zipf_ranks,
)
from preprocess.synthetic.planted_model import (
    CLICK_WEIGHTS,
    CONVERSION_WEIGHTS,
    LATER_WEIGHTS,
    attraction,
    fit_head,
    head_weights,
    sigmoid,
)
from preprocess.synthetic.users import UserList
from preprocess.synthetic.values import counted_texts, counted_weights
from preprocess.synthetic.warts import (
    UNUSABLE_KINDS,
    SplitPart,
    anomaly_kind,
    logged_labels,
    place_later_anomalies,
    place_warts,
    planned_warts,
)

FUNNEL = LabelTree.of(("click", "cart", "order", "favourite"), {"favourite": "click"})
GRID = (np.arange(100_000) + 0.5) / 100_000


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0, 1.3])
def test_zipf_ranks_follow_the_bounded_pareto_law(exponent):
    # P(rank < r) = ∫_1^{r+1} x^-s dx / ∫_1^{n+1} x^-s dx with n = 50, the integrals by the midpoint rule
    x = 1 + (np.arange(500_000) + 0.5) / 10_000
    density = x**-exponent
    ranks = zipf_ranks(GRID, 50, exponent)
    assert (ranks.min(), ranks.max()) == (0, 49)
    for r in (1, 2, 10, 40):
        expected = density[x < r + 1].sum() / density.sum()
        assert (ranks < r).mean() == pytest.approx(expected, abs=1e-4)


def test_zipf_ranks_take_a_size_for_each_draw():
    sizes = np.array([1, 2, 1000])
    assert zipf_ranks(np.full(3, 0.999999), sizes, 0.9).tolist() == [0, 1, 999]


def test_heavy_counts_have_the_named_tail_and_cut():
    counts = heavy_counts(GRID, 100)
    assert (counts >= 2).mean() == pytest.approx(2**-1.1, abs=1e-4)
    assert (counts >= 10).mean() == pytest.approx(10**-1.1, abs=1e-4)
    assert counts.max() == 100


def test_hashed_uniforms_depend_on_seed_stream_and_keys_alone():
    users, nth = np.arange(1000), np.arange(1000) % 7
    whole = hashed_uniform(1, 2, users, nth)
    assert np.array_equal(whole[500:], hashed_uniform(1, 2, users[500:], nth[500:]))
    for other in (hashed_uniform(2, 2, users, nth), hashed_uniform(1, 3, users, nth), hashed_uniform(1, 2, nth, users)):
        assert np.mean(whole == other) < 0.01


def test_hashed_uniforms_are_uniform_and_uncorrelated_between_neighbours():
    values = hashed_uniform(5, 6, np.arange(100_000))
    assert np.histogram(values, 10, (0, 1))[0] == pytest.approx(10_000, abs=5 * 95)  # 95: binomial deviation
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 5 / math.sqrt(100_000)
    standard = hashed_standard(5, 6, np.arange(100_000))
    assert (standard.mean(), standard.std()) == pytest.approx((0, 1), abs=0.02)


def test_scattered_keys_are_all_different():
    assert np.unique(scattered_keys(3, np.arange(100_000))).size == 100_000


def test_groups_give_members_of_the_group_popular_first_and_minus_1_for_an_empty_group():
    groups = group_members(np.array([2, 0, 2, 2, 0], np.int32), 4)
    assert groups.pick(np.array([0, 1, 2, 3]), np.zeros(4), 1.0).tolist() == [1, -1, 0, -1]
    picked = groups.pick(np.full(GRID.size, 2), GRID, 1.0)
    counts = np.bincount(picked, minlength=5)
    assert counts[[1, 4]].tolist() == [0, 0]
    assert counts[0] > counts[2] > counts[3] > 0


def test_user_list_finds_pairs_of_row_and_entity():
    # row 0: 3, 5; row 1: nothing; row 2: 3
    user_list = UserList(keys=np.array([3, 5, 23]), counts=np.ones(3, np.int64), lengths=np.array([2, 0, 1]), size=10)
    assert user_list.find(np.array([0, 0, 1, 2, 2]), np.array([5, 4, 3, 3, 9])).tolist() == [1, -1, -1, 2, -1]
    assert user_list.entities().tolist() == [3, 5, 3]
    assert user_list.starts.tolist() == [0, 2, 2]


def test_field_sizes_at_scale_1_are_the_real_ones():
    assert field_sizes(1000, 1.0) == REAL_DIMENSIONS
    assert field_sizes(42_300_000, None) == REAL_DIMENSIONS


def test_small_fields_are_never_scaled_and_others_keep_at_least_64_ids():
    sizes = field_sizes(100, None)
    assert sizes["121"] == 98
    assert sizes["301"] == 4
    assert sizes["206"] == sizes["205"] == 64


def test_users_and_items_grow_with_the_log_and_attributes_slower():
    sizes = field_sizes(4_230_000, None)  # a tenth
    assert sizes["205"] == 400_000
    assert sizes["207"] == round(263_942 * 0.1**0.75)


def test_field_ranges_are_disjoint_and_ranks_are_dealt_one_to_one():
    ranges = field_ranges(field_sizes(225_000, None), seed=4)
    end = 1
    for span in ranges.values():
        assert span.base == end
        end += span.size
        ranks = np.arange(span.size)
        assert np.array_equal(np.sort(span.local(ranks)), ranks)
        assert np.array_equal(span.rank(span.local(ranks)), ranks)


def test_decimal_and_hexadecimal_texts():
    numbers = np.array([0, 7, 10, 4096, 120])
    assert [t.replace(b"\0", b"") for t in decimal_texts(numbers).tolist()] == [b"0", b"7", b"10", b"4096", b"120"]
    keys = np.array([0, 0x84DCEED2E3A667F8, 2**64 - 1], np.uint64)
    assert hex_texts(keys).tolist() == [b"0" * 16, b"84dceed2e3a667f8", b"f" * 16]


def two_lines():
    headers = [(np.array([b"a,", b"b,"], "S16"), np.zeros(2, "S8"))]
    one = Part(np.array([1, 1]), np.array([b"f\x021\x03", b"f\x022\x03"], "S16"), np.array(b"1.0\x01", "S8"))
    some = Part(np.array([0, 2]), np.array([b"g\x028\x03", b"g\x029\x03"], "S16"), np.array([b"2.5\x01", b"3.0\x01"]))
    return build_lines(headers, [one, some])


def test_lines_hold_headers_the_number_of_features_and_the_features_in_order():
    assert two_lines().text() == b"a,,1,f\x021\x031.0\nb,,3,f\x022\x031.0\x01g\x028\x032.5\x01g\x029\x033.0\n"


def test_lines_can_be_erased_and_repeated():
    lines = two_lines()
    assert lines.repeated(np.array([0, 0])) == b"a,,1,f\x021\x031.0\n" * 2
    lines.erase(1)
    assert lines.text() == b"a,,1,f\x021\x031.0\n"


@pytest.mark.parametrize(
    ("field", "count", "text"),
    [
        ("109_14", 1, b"0.69315\x01"),  # ln 2
        ("508", 10, b"2.3979\x01"),  # ln 11 = 2.397895: no zeros at the end, as in the real log
        ("150_14", 5, b"0.34831\x01"),  # ln(1 + 5/12) = 0.348307
        ("853", 12, b"0.69315\x01"),
    ],
)
def test_values_show_the_logarithm_of_1_plus_the_count(field, count, text):
    assert counted_texts(field, np.array([count])).tolist() == [text]
    assert counted_weights(field, np.array([count]))[0] == float(text[:-1])


@pytest.mark.parametrize("levels", [20, 10**9])
def test_binned_auc_is_the_exact_one_within_1e_4(levels):
    rng = np.random.default_rng(1)
    p = rng.integers(1, levels, 20_000) / levels
    labels = rng.random(20_000) < p
    scores = np.log(p * 0.01)
    binned = BinnedAuc()
    for part in np.array_split(np.arange(20_000), 3):
        binned.add(scores[part], labels[part])
    auc, error = binned.result()
    assert auc == pytest.approx(exact_auc(scores, labels), abs=1e-4)
    assert error == pytest.approx(auc_standard_error(scores, labels), rel=1e-3)


def test_binned_auc_of_nothing_is_nan_and_of_minus_infinity_is_the_lowest():
    binned = BinnedAuc()
    assert all(math.isnan(x) for x in binned.result())
    binned.add(np.array([-math.inf, -math.inf, -1.0, 0.0]), np.array([False, False, True, True]))
    assert binned.result() == (1.0, 0.0)


def test_head_has_the_wanted_rate_and_each_signal_its_weight_in_logits():
    rng = np.random.default_rng(2)
    signals = {"a": rng.normal(5, 3, 50_000), "b": rng.random(50_000), "constant": np.ones(50_000)}
    among = rng.random(50_000)
    head = fit_head({"a": 0.8, "b": -0.5, "constant": 9.0}, signals, 0.03, among)
    logits = head.logits(signals)
    assert np.average(sigmoid(logits), weights=among) == pytest.approx(0.03, rel=1e-6)
    moved = {**signals, "a": signals["a"] + signals["a"].std()}
    assert head.logits(moved) - logits == pytest.approx(0.8)
    assert np.corrcoef(logits, signals["b"])[0, 1] < 0


def test_attraction_is_the_click_logit_without_its_intercept_and_position():
    rng = np.random.default_rng(3)
    signals = {name: rng.normal(1, 2, 10_000) for name in CLICK_WEIGHTS}
    head = fit_head(CLICK_WEIGHTS, signals, 0.1, np.ones(10_000))
    found = attraction(head, signals)["attraction"]
    position = (
        CLICK_WEIGHTS["position"] * (signals["position"] - signals["position"].mean()) / signals["position"].std()
    )
    assert found + position + head.intercept == pytest.approx(head.logits(signals), abs=1e-12)


def test_without_a_selection_bias_conversions_have_the_causes_that_they_had():
    assert [head_weights(FUNNEL, label, 0.0) for label in range(3)] == [
        CLICK_WEIGHTS,
        CONVERSION_WEIGHTS,
        LATER_WEIGHTS,
    ]
    assert head_weights(FUNNEL, 1, -1.5) == {**CONVERSION_WEIGHTS, "attraction": -1.5}
    assert head_weights(FUNNEL, 3, -1.5) == {**LATER_WEIGHTS, "attraction": -1.5}  # right after a click, too
    assert head_weights(FUNNEL, 2, -1.5) == LATER_WEIGHTS


def test_planned_faults_are_far_below_one_percent_in_every_size():
    for impressions in (1_999, 2_000, 225_000, 42_300_000):
        planned = planned_warts(impressions, FUNNEL)
        assert sum(planned[kind] for kind in UNUSABLE_KINDS) <= 0.004 * impressions
        # a common row has some 58 impressions, and 1% of them may be rejected
        assert planned["duplicated_common_row"] <= 0.004 * impressions / 58
    assert planned_warts(225_000, FUNNEL)["duplicated_common_row"] == 2
    assert planned_warts(42_300_000, FUNNEL)["cart_without_click"] == 230


def test_faults_of_blocks_add_up_to_the_plan_and_never_share_a_line():
    planned, total = planned_warts(5000, FUNNEL), 5000
    anomalies = [anomaly_kind(FUNNEL, label) for label in range(1, 4)]
    assert anomalies == ["cart_without_click", "order_without_cart", "favourite_without_click"]
    found = dict.fromkeys(planned, 0)
    for done in range(0, total, 100):
        labels = (np.arange(100)[:, np.newaxis] % [3, 6, 12, 9] == 0).astype(np.int64)
        part, rng = SplitPart(done=done, total=total), np.random.default_rng(done)
        warts = place_warts(rng, part, 50, FUNNEL, labels)
        place_later_anomalies(rng, part, warts, FUNNEL, labels)
        lines = np.concatenate([warts.places[k] for k in (*anomalies, *UNUSABLE_KINDS)])
        assert np.unique(lines).size == lines.size
        logged = logged_labels(warts, FUNNEL, labels)
        assert FUNNEL.broken(logged).sum(axis=0)[1:].tolist() == [warts.places[kind].size for kind in anomalies]
        assert (logged != labels).sum() == sum(warts.places[kind].size for kind in anomalies)
        assert warts.unusable(100).sum() == sum(warts.places[k].size for k in UNUSABLE_KINDS)
        for kind, at in warts.places.items():
            found[kind] += at.size
    assert found == planned


def test_anomalies_of_two_labels_never_share_a_line():
    labels = np.ones((2000, 4), np.int64)
    labels[100:107] = 0  # room for three of carts and three of orders
    part, rng = SplitPart(done=0, total=2000), np.random.default_rng(1)
    warts = place_warts(rng, part, 50, FUNNEL, labels)
    place_later_anomalies(rng, part, warts, FUNNEL, labels)
    lines = np.concatenate([warts.places[anomaly_kind(FUNNEL, label)] for label in range(1, 4)])
    assert np.unique(lines).size == lines.size >= 6
