"""Counts of lines, and when a log is refused for its rejects."""

import json
from collections import Counter

import pytest

from esmm_dist.errors import InputDataError
from esmm_dist.schema.sources import ColumnSplit
from preprocess.read.row_files import ChunkId
from preprocess.read.tally import TableTally, check_both_splits


def chunk(file: int, number: int, lines: int, **more: object) -> dict[str, object]:
    return {
        "file": file, "chunk": number, "lines": lines, "rows": lines, "bytes": 10 * lines, "rejected": {},
        "ignored": {}, **more,
    }  # fmt: skip


def tally(*chunks: dict[str, object]) -> TableTally:
    result = TableTally()
    for each in chunks:
        result.add(each)
    return result


FILES = tally(
    chunk(0, 0, 3, header_lines=1),
    chunk(0, 1, 2, piece=0),
    chunk(0, 1, 4, piece=1),
    chunk(1, 0, 5, header_lines=1),
)


def test_counts_of_all_chunks_add_up():
    both = tally(
        chunk(0, 0, 3, rejected={"bad_utf8": 1}, ignored={"f": 2}, lost_digits={"c": 1}),
        chunk(0, 1, 4, rejected={"bad_utf8": 2, "bad_label": 1}, ignored={"f": 1}),
    )
    assert (both.lines, both.rows, both.text_bytes) == (7, 7, 70)
    assert both.rejected == Counter(bad_utf8=3, bad_label=1)
    assert (both.ignored, both.lost_digits) == (Counter(f=3), Counter(c=1))


def test_chunks_are_listed_in_log_order_however_they_ended():
    late = tally(chunk(1, 0, 1), chunk(0, 2, 1), chunk(0, 1, 1, piece=1), chunk(0, 1, 1))
    places = [(0, 1, 0), (0, 1, 1), (0, 2, 0), (1, 0, 0)]
    assert late.chunks("test") == [ChunkId(split="test", file=f, chunk=c, piece=p) for f, c, p in places]


def test_lines_before_a_chunk_are_of_its_file_and_count_the_header():
    # File 0: header, 3 lines, then chunk 1. A chunk's pieces share its line numbers.
    assert FILES.lines_before() == {(0, 0): 0, (0, 1): 4, (1, 0): 0}
    assert FILES.lines_of_file(0) == 9
    assert FILES.lines_of_file(2) == 0


def test_rows_before_a_chunk_are_of_all_files_without_headers():
    assert FILES.rows_before() == {(0, 0): 0, (0, 1): 3, (1, 0): 9}


def test_a_tally_is_read_back_from_json():
    assert TableTally.from_mapping(json.loads(json.dumps(FILES.to_mapping()))) == FILES


@pytest.mark.parametrize(
    ("rejected", "most", "expected"),
    [(50, 0.01, False), (51, 0.01, True), (70, 0.7, False), (71, 0.7, True)],
)
def test_a_log_is_hopeless_when_half_of_it_is_rejected_and_more_than_is_allowed(
    rejected: int, most: float, expected: bool
):
    assert tally(chunk(0, 0, 100, rejected={"bad_utf8": rejected})).is_hopeless(most) is expected


def check(lines: int, rejected: dict[str, int], kind: str = "skeleton", most: float = 0.1) -> None:
    first = {reason: f"log.csv line {number}" for number, reason in enumerate(rejected, 1)}
    tally(chunk(0, 0, lines, rejected=rejected)).check_share("train", kind, most, "See rejects.", first)


def test_as_many_rejects_as_are_allowed_pass():
    check(100, {"bad_utf8": 10})
    check(0, {})


def test_more_rejects_are_refused_with_the_most_frequent_reason_first():
    with pytest.raises(InputDataError) as caught:
        check(100, {"bad_utf8": 2, "wrong_columns": 9})
    assert str(caught.value) == (
        "11 of 100 skeleton lines of the train split are rejected (wrong_columns 9, first in log.csv line 2; "
        "bad_utf8 2, first in log.csv line 1), more than max_reject_share = 0.1 allows. See rejects. Correct the log "
        "or the schema, or raise max_reject_share."
    )


def test_rejects_that_leave_no_impression_are_refused_whatever_is_allowed():
    with pytest.raises(InputDataError, match=r"so that no impression is left\. See rejects\. Correct the log"):
        check(3, {"bad_utf8": 3}, most=1.0)
    check(3, {"bad_utf8": 3}, kind="common", most=1.0)  # impressions are kept without user fields


def test_labels_of_a_flat_log_that_are_rejected_name_the_setting_that_says_what_they_mean():
    with pytest.raises(InputDataError, match=r"say what their values mean in source\.label_values of the schema"):
        check(10, {"bad_label": 9}, kind="log")
    with pytest.raises(InputDataError) as caught:
        check(10, {"bad_label": 9}, kind="skeleton")
    assert "label_values" not in str(caught.value)


def test_a_split_without_a_row_is_refused_with_the_column_that_cuts():
    rule = ColumnSplit(test_share=0.2, by="user")
    check_both_splits(rule, {"train": tally(chunk(0, 0, 4)), "test": tally(chunk(0, 0, 1))})
    with pytest.raises(InputDataError, match=r"leaves the test split without an impression: column 'user' has too few"):
        check_both_splits(rule, {"train": tally(chunk(0, 0, 4)), "test": tally(chunk(0, 0, 0))})
