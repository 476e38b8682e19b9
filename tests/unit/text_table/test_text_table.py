"""Tables as text."""

from esmm_dist.text_table import text_table


def test_columns_are_aligned_and_never_cut():
    long = "x" * 90
    assert text_table(["task", "AUC"], [["ctr", "0.7"], [long, "0.65 [b]"]]) == [
        "task" + " " * 86 + "  " + "     AUC",
        "ctr" + " " * 87 + "  " + "     0.7",
        long + "  " + "0.65 [b]",
    ]
