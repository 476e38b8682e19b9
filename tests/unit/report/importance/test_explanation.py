"""The report of an explanation shows what moves each label most, whatever the values are."""

import re

import numpy as np

from esmm_dist.input.batch import GroupedBatch
from esmm_dist.report.importance.explain import label_tasks, predictions
from esmm_dist.report.importance.explanation import Explanation, FieldEffect, FieldValue
from esmm_dist.report.importance.find_impression import FoundImpression
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.schema.manifest import Split

FUNNEL = LabelTree.of(("view", "cart", "purchase"))
HOSTILE = "<script>\n\x1b[1m" + "x" * 200


def effect(name: str, change: float, *values: FieldValue) -> FieldEffect:
    """Return a field that moves each label alike."""
    return FieldEffect(
        field=name,
        owner="item",
        values=values,
        values_left_out=0,
        logit_change={"view": change, "cart_given_view": -change, "purchase_given_cart": 0.0},
        without=dict.fromkeys(FUNNEL.columns, 0.25),
    )


def value(text: str | None, id_: int = 7, *, weight: float = 1.0, learned: bool = True) -> FieldValue:
    """Return a value."""
    return FieldValue(id=id_, text=text, weight=weight, learned=learned)


def found_of(labels: list[int]) -> FoundImpression:
    """Return an impression of these labels."""
    none = np.empty(0, np.int64)
    batch = GroupedBatch(
        user_ids=none,
        user_lengths=none,
        user_weights=None,
        impression_ids=none,
        impression_lengths=none,
        impression_weights=None,
        impressions_per_group=np.ones(1, np.int64),
        sample_ids=np.array([17]),
        labels=np.array([labels]),
    )
    return FoundImpression(split="test", impression=batch)


def counted(view: int, cart: int, purchase: int) -> Split:
    """Return a split of 100 impressions."""
    counts = {"view": view, "cart": cart, "purchase": purchase}
    return Split(records=9, impressions=100, label_counts=counts, broken_chains={}, shards=())


def explanation(fields: list[FieldEffect], name: str | None = None) -> Explanation:
    """Return the explanation of an impression of three labels."""
    return Explanation(
        run="run",
        step=1200,
        data="data",
        split="test",
        sample_id=17,
        name=name,
        predictions=predictions(FUNNEL, np.array([0.0, -1.0, 2.0]), found_of([1, 0, 0]), counted(50, 10, 2)),
        fields=fields,
    )


def test_predictions_stand_beside_labels_and_rates_of_those_they_are_measured_among() -> None:
    found = {each.task: each for each in explanation([]).predictions}
    sigmoid = [1 / (1 + np.exp(-x)) for x in (0.0, -1.0, 2.0)]
    expected = {
        "view": (sigmoid[0], 0.0, 1, 0.5),
        "cart_given_view": (sigmoid[1], -1.0, 0, 0.2),
        "cart": (sigmoid[0] * sigmoid[1], None, 0, 0.1),
        "purchase_given_cart": (sigmoid[2], 2.0, None, 0.2),
        "purchase": (np.prod(sigmoid), None, 0, 0.02),
    }
    for task, (probability, logit, label, rate) in expected.items():
        assert abs(found[task].probability - probability) < 1e-6
        assert (found[task].logit, found[task].label, found[task].rate) == (logit, label, rate)
    assert label_tasks(FUNNEL) == {0: "view", 1: "cart_given_view", 2: "purchase_given_cart"}


def test_rate_among_no_impression_is_unknown() -> None:
    found = predictions(FUNNEL, np.zeros(3), found_of([0, 0, 0]), counted(0, 0, 0))
    assert [each.rate for each in found] == [0, None, 0, None, 0]


def test_each_label_shows_the_fields_that_move_it_furthest() -> None:
    fields = [effect("weak", 0.1), effect("down", -0.9, value("red")), effect("up", 0.5, value("blue"))]
    lines = explanation(fields).lines(most_fields=2)
    head = lines.index("p_view 0.50000 is logit +0.000:")
    assert [line.split()[0] for line in lines[head + 2 : head + 4]] == ["down", "up"]
    assert lines[head + 4] == "1 more, by 0.100 or less."
    assert re.search(r"down +-0\.900 +0\.25000 +yes +red", lines[head + 2])
    assert any(line.startswith("p_purchase_given_cart 0.88080 is logit +2.000") for line in lines)


def test_values_are_cut_escaped_and_counted() -> None:
    listed = [value("a", weight=0.333333), value(None, 5, learned=False), value("c"), value("d"), value("e")]
    assert effect("f", 0, *listed).shown == "a:0.333, id 5, c +2 more"
    assert effect("f", 0, *listed).learned == "4 of 5"
    assert (effect("f", 0).shown, effect("f", 0).learned) == ("none", "")
    assert effect("f", 0, value("a", learned=False)).learned == "no"
    shown = effect("f", 0, value(HOSTILE)).shown
    assert shown.startswith(r"<script>\n\x1b[1m")
    assert len(shown) == 40
    assert all(line.isprintable() for line in explanation([effect("f", 0, value(HOSTILE))], name=HOSTILE).lines())


def test_mapping_has_all_fields() -> None:
    found = explanation([effect(f"f{n}", n) for n in range(30)]).to_mapping()
    assert len(found["fields"]) == 30
    assert found["fields"][29]["logit_change"]["view"] == 29
