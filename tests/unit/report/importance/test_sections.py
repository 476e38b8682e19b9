"""The picture and the table of the importance of fields say what the numbers are, for any of them."""

import math
import re

import pytest
from matplotlib.patches import Rectangle

from esmm_dist.report.importance.field_importance import FieldImportance, Importance
from esmm_dist.report.importance.sections import finding, importance_page, importance_sections
from esmm_dist.report.page.blocks import PageTable, Paragraph
from esmm_dist.report.page.html_page import html_of
from esmm_dist.report.pictures.picture import Picture

HOSTILE = "<script>alert(1)</script>\n" + "x" * 200


def found_of(
    drops: dict[str, dict[str, float]], error: float = 0.002, not_seen: tuple[str, ...] = (), impressions: int = 1000
) -> Importance:
    """Return an importance of fields whose drops are given by field and task."""
    tasks = list(next(iter(drops.values())))
    return Importance(
        run="run",
        step=1200,
        data="data",
        data_id="0123456789abcdef",
        split="test",
        impressions=impressions,
        of_impressions=1000,
        contexts=77,
        repeats=3,
        seed=1,
        auc={task: 0.7 + place / 100 for place, task in enumerate(tasks)},
        fields=tuple(
            FieldImportance(
                field=name,
                owner="item",
                auc_drop=of_task,
                standard_error={task: error for task in of_task},
                log_loss_rise={task: drop / 2 for task, drop in of_task.items()},
            )
            for name, of_task in drops.items()
        ),
        not_seen=not_seen,
    )


ORDINARY = found_of(
    {"item_id": {"ctr": 0.05, "cvr": 0.01, "ctcvr": 0.0412}, "user_id": {"ctr": 0.03, "cvr": 0.0, "ctcvr": 0.02}}
)


def test_title_says_the_field_that_matters_most() -> None:
    assert finding(ORDINARY) == "item_id matters most for ctcvr's AUC, which falls by 0.0412 ± 0.0020 without it."


def test_title_does_not_take_chance_for_a_finding() -> None:
    found = found_of({"item": {"ctr": 0.5, "ctcvr": 0.003}, "user": {"ctr": 0.4, "ctcvr": -0.001}})
    assert finding(found) == (
        "No field alone matters for ctcvr's AUC: the most, item, takes 0.0030 ± 0.0020 with it, which may be chance."
    )


def test_task_that_is_not_known_is_not_the_title() -> None:
    found = found_of({"a": {"ctr": 0.1, "ctcvr": math.nan}, "b": {"ctr": 0.2, "ctcvr": math.nan}})
    assert finding(found).startswith("b matters most for ctr's AUC")
    nothing = found_of({"a": {"ctr": math.nan, "ctcvr": math.nan}})
    assert finding(nothing) == "No task has impressions of both labels, so that no importance can be told."
    assert "–" in html_of(importance_page(nothing, "esmm importance"))


def test_picture_and_table_hold_the_numbers() -> None:
    (section,) = importance_sections(ORDINARY)
    picture, table, _ = section.blocks
    assert isinstance(picture, Picture)
    assert isinstance(table, PageTable)
    assert picture.numbers["fields"][0]["auc_drop"] == {"ctr": 0.05, "cvr": 0.01, "ctcvr": 0.0412}
    bars = [[bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)] for axes in picture.figure.axes]
    assert bars == [[0.05, 0.03], [0.01, 0.0], [0.0412, 0.02]]
    assert table.rows[0] == [
        *("item_id", "item", "0.0500 ± 0.0020", "0.0100 ± 0.0020", "0.0412 ± 0.0020"),
        *("0.0250", "0.0050", "0.0206"),
    ]


def test_many_fields_and_tasks_are_shown_in_part_and_the_rest_is_said() -> None:
    tasks = ["click", *(f"a_label_of_thirty_letters_no_{k}" for k in range(4))]
    drops = {f"field_{n:02}": {task: 0.1 - n / 1000 for task in tasks} for n in range(23)}
    (section,) = importance_sections(found_of(drops, not_seen=tuple(f"unseen_{n}" for n in range(12))))
    picture, table, unseen, _ = section.blocks
    assert isinstance(picture, Picture)
    assert [len(axes.patches) for axes in picture.figure.axes] == [15] * 5
    assert (
        "8 more fields, none above 0.0850 for a_label_of_thirty_letters_no_3, are in the table." in picture.how_to_read
    )
    assert isinstance(table, PageTable)
    assert len(table.rows) == 23
    assert isinstance(unseen, Paragraph)
    assert "unseen_7 and 4 more" in unseen.text


def test_hostile_names_are_cut_and_escaped() -> None:
    found = found_of({HOSTILE: {"ctr": 0.1, "ctcvr": 0.1}, HOSTILE + "2": {"ctr": 0.0, "ctcvr": 0.0}})
    text = html_of(importance_page(found, "esmm importance"))
    assert "<script" not in text
    assert "x" * 60 not in text


def test_field_that_changes_no_prediction_is_no_field_that_the_model_ignores() -> None:
    found = found_of({"item_id": {"ctr": 0.05, "cvr": math.nan}, "user_id": {"ctr": 0.0, "cvr": math.nan}})
    said = [each.text for each in importance_sections(found)[0].blocks if isinstance(each, Paragraph)]
    assert any("No prediction changes with user_id: the model has learned none of the ids that test" in t for t in said)
    assert any(line.startswith("No prediction changes with user_id:") for line in found.lines())
    assert not any("No prediction changes" in line for line in ORDINARY.lines())


def test_sample_is_said() -> None:
    (section,) = importance_sections(found_of({"a": {"ctr": 0.1}}, impressions=400))
    assert "400 of 1,000 impressions of test" in section.lead


@pytest.mark.parametrize("not_seen", [(), ("secret",)])
def test_report_has_a_line_a_field(not_seen: tuple[str, ...]) -> None:
    lines = found_of({"item": {"ctr": 0.05, "ctcvr": -0.00001}}, not_seen=not_seen).lines()
    assert lines[0] == (
        "run, step 1,200, on 1,000 impressions (77 user contexts) of test of data; 3 permutations a field"
    )
    assert re.fullmatch(r"AUC lost without +owner +ctr \(AUC 0\.7000\) +ctcvr \(AUC 0\.7100\)", lines[1])
    assert re.fullmatch(r"item +item +0\.0500 ± 0\.0020 +-?0\.0000 ± 0\.0020", lines[2])
    assert any("Not seen by the model, so of no importance: secret." in line for line in lines) == bool(not_seen)
