"""AUC and calibration of segments as tables."""

import math

from esmm_dist.inference.segments import Segment, SegmentTable
from esmm_dist.inference.tables.segments_table import segments_tables
from esmm_dist.model.metrics.segment_sums import SegmentMetrics

GOOD = SegmentMetrics(
    kind="key", key=1, distinct_keys=1, impressions=1234, positives=56, auc=0.71234, auc_standard_error=0.01239,
    log_loss=0.3, calibration=1.0236, calibration_standard_error=0.0455,
)  # fmt: skip
ONE_CLASS = SegmentMetrics(
    kind="others", key=None, distinct_keys=9, impressions=7, positives=0, auc=math.nan, auc_standard_error=math.nan,
    log_loss=0.3, calibration=math.nan, calibration_standard_error=math.nan,
)  # fmt: skip


def test_each_task_has_a_table_with_a_row_per_segment_that_it_counts():
    segments = (
        Segment(name="Oslo", id=5, note="", tasks={"ctr": GOOD, "cvr": GOOD}),
        Segment(name="all others", id=None, note="9 values", tasks={"ctr": ONE_CLASS}),
    )
    gap, head, oslo, others, second, below, only = segments_tables(
        [SegmentTable(name="city", by_values=True, title="city", segments=segments)]
    )
    assert (gap, second) == ("", "")
    assert head.split("  ")[0] == "ctr by city"
    assert below.split("  ")[0] == "cvr by city"
    assert oslo.split() == ["Oslo", "1,234", "56", "0.7123", "±", "0.0124", "1.024", "±", "0.045"]
    assert only.split()[0] == "Oslo"  # nobody of the others has clicked
    assert others.split() == ["all", "others", "(9", "values)", "7", "0"]  # one class: no AUC, and no calibration


def test_nothing_is_shown_of_nothing():
    assert segments_tables([]) == []
    assert segments_tables([SegmentTable(name="city", by_values=True, title="city", segments=())]) == []
