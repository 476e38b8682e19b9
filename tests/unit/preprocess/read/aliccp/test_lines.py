"""What a raw line may look like, why it is rejected, and that the fast reader agrees with the slow one."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esmm_dist.schema.fields import Field
from preprocess.read.aliccp import chunk
from preprocess.read.aliccp.chunk import ParsedRows
from preprocess.read.aliccp.line import Kind, ParsedLine, context_key, parse_line
from preprocess.read.feature_rows import FeatureEntries
from preprocess.read.rejects import MAX_TEXT, Reason, reject

FIELDS = (
    Field(name="205", owner="item"),
    Field(name="210", owner="item", multi_hot=True, weighted=True),
    Field(name="508", owner="context", weighted=True),
)
GOOD = b"7,1,0,key,2,205\x0231\x031.0\x01210\x0241\x030.5"


def parse_lines(lines: Sequence[bytes], kind: Kind, fields: Sequence[Field], num_labels: int = 2) -> ParsedRows:
    return chunk.parse_lines(b"".join(line + b"\n" for line in lines), kind, fields, num_labels)


def test_good_skeleton_line_gives_all_its_parts():
    parsed = parse_line(GOOD, "skeleton", FIELDS)
    assert parsed == ParsedLine(
        key=b"key", sample_id=7, labels=(1, 0), features=((0, 31, 1.0), (1, 41, 0.5)), ignored=Counter()
    )


def test_value_of_a_field_that_is_not_weighted_is_one():
    parsed = parse_line(b"7,1,0,key,1,205\x0231\x039.5", "skeleton", FIELDS)
    assert isinstance(parsed, ParsedLine)
    assert parsed.features == ((0, 31, 1.0),)


def test_features_of_unknown_fields_are_ignored_and_counted():
    parsed = parse_line(b"7,1,0,key,2,853\x0231\x031\x01853\x0232\x031", "skeleton", FIELDS)
    assert isinstance(parsed, ParsedLine)
    assert (parsed.features, parsed.ignored) == ((), Counter({"853": 2}))


def test_id_twice_in_a_list_is_kept_twice():
    parsed = parse_line(b"7,1,0,key,2,210\x0241\x030.5\x01210\x0241\x030.25", "skeleton", FIELDS)
    assert isinstance(parsed, ParsedLine)
    assert parsed.features == ((1, 41, 0.5), (1, 41, 0.25))


BAD_LINES = [
    (b"", Reason.WRONG_COLUMNS),
    (b"7,1,0", Reason.WRONG_COLUMNS),
    (b"7,1,0,key,0,,", Reason.WRONG_COLUMNS),
    (b"7,1,0,k\xff,0,", Reason.BAD_UTF8),
    (b"x7,1,0,key,0,", Reason.BAD_SAMPLE_ID),
    (b" 7,1,0,key,0,", Reason.BAD_SAMPLE_ID),
    (b"0x7,1,0,key,0,", Reason.BAD_SAMPLE_ID),
    (b"9223372036854775808,1,0,key,0,", Reason.BAD_SAMPLE_ID),  # 2^63
    (b"7,2,0,key,0,", Reason.BAD_LABEL),
    (b"7,1,,key,0,", Reason.BAD_LABEL),
    (b"7,1,0,key,1,", Reason.BAD_FEATURE_COUNT),
    (b"7,1,0,key,x,", Reason.BAD_FEATURE_COUNT),
    (b"7,1,0,key,0\r,", Reason.BAD_FEATURE_COUNT),  # Arrow would end a row at the \r
    (b"7,1,0,key,1,205\x0331\x021", Reason.BAD_FEATURE),  # separators swapped
    (b"7,1,0,key,1,205\x0331\x031", Reason.BAD_FEATURE),
    (b"7,1,0,key,1,205\x0231", Reason.BAD_FEATURE),
    (b"7,1,0,key,1,205\x0231\x031\x03", Reason.BAD_FEATURE),
    (b"7,1,0,key,1,205\x02none\x031", Reason.NON_NUMERIC_ID),
    (b"7,1,0,key,1,205\x02-31\x031", Reason.NON_NUMERIC_ID),
    (b"7,1,0,key,1,205\x020x1f\x031", Reason.NON_NUMERIC_ID),
    (b"7,1,0,key,1,205\x02 31\x031", Reason.NON_NUMERIC_ID),
    (b"7,1,0,key,1,205\x02\x031", Reason.NON_NUMERIC_ID),
    (b"7,1,0,key,1,205\x029223372036854775808\x031", Reason.NON_NUMERIC_ID),
    (b"7,1,0,key,1,210\x0241\x03abc", Reason.NON_NUMERIC_VALUE),
    (b"7,1,0,key,1,210\x0241\x03", Reason.NON_NUMERIC_VALUE),
    (b"7,1,0,key,1,210\x0241\x03 1", Reason.NON_NUMERIC_VALUE),
    (b"7,1,0,key,1,210\x0241\x03nan", Reason.NOT_FINITE_VALUE),
    (b"7,1,0,key,1,210\x0241\x03-Inf", Reason.NOT_FINITE_VALUE),
    (b"7,1,0,key,1,210\x0241\x031e39", Reason.NOT_FINITE_VALUE),  # beyond float32
    (b"7,1,0,key,1,210\x0241\x03-0.5", Reason.NEGATIVE_VALUE),
    (b"7,1,0,key,1,853\x0241\x03-0.5", Reason.NEGATIVE_VALUE),  # also where the schema ignores the field
    (b"7,1,0,key,2,205\x0231\x031\x01205\x0232\x031", Reason.SEVERAL_IDS),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_bad_line_is_rejected_with_its_reason_alone_and_among_good_ones(line: bytes, reason: Reason):
    assert parse_line(line, "skeleton", FIELDS) == reason
    rows = parse_lines([GOOD] * 40 + [line] + [GOOD] * 40, "skeleton", FIELDS)
    assert [(r.line, r.reason) for r in rows.rejects] == [(40, reason)]
    np.testing.assert_array_equal(rows.lines, [*range(40), *range(41, 81)])


def test_every_reason_of_a_line_has_a_case_above():
    later = {Reason.REPEATED_SAMPLE_ID, Reason.REPEATED_COMMON_ROW}
    of_other_forms = {Reason.BAD_ENCODING, Reason.BAD_TIME, Reason.BAD_JSON}
    of_events = {
        Reason.NO_JOIN_KEY,
        Reason.REPEATED_IMPRESSION,
        Reason.EVENT_WITHOUT_IMPRESSION,
        Reason.EVENT_WITHOUT_LABEL_BEFORE,
        Reason.EVENT_BEFORE_IMPRESSION,
        Reason.EVENT_BEYOND_WINDOW,
        Reason.REPEATED_EVENT,
    }
    assert {reason for _, reason in BAD_LINES} == set(Reason) - later - of_other_forms - of_events


@pytest.mark.parametrize("ending", [b"", b"\r"])
def test_carriage_return_at_the_end_of_a_line_belongs_to_the_line_end(ending: bytes):
    expected = parse_lines([GOOD, b"8,0,0,key,0,", GOOD], "skeleton", FIELDS)
    _assert_same(parse_lines([GOOD + ending, b"8,0,0,key,0," + ending, GOOD + ending], "skeleton", FIELDS), expected)


def test_text_of_a_reject_is_short_and_shows_bad_bytes():
    rejected = reject(3, Reason.BAD_UTF8, b"\xff" + b"a" * 10_000)
    assert rejected.text == ("\\xff" + "a" * 10_000)[:MAX_TEXT]


def test_sixteen_hex_digits_are_their_own_key_and_other_texts_are_not():
    assert context_key(b"00000000000000ff") == 255
    keys = {context_key(t) for t in (b"", b"ff", b"00000000000000FF", b"0000000000000ff ", b"00000000000000ff")}
    assert len(keys) == 5


FIELD_NAMES = st.sampled_from(["205", "210", "508", "853", "a_b", "", "ü", "a b"])
IDS = st.one_of(
    st.integers(0, 2**63 + 5).map(str),
    st.sampled_from(["", "x", "-1", "+1", " 1", "0x10", "007", "1.0", "1_0", "9" * 25, "0" * 30 + "1"]),
)
VALUES = st.one_of(
    st.floats(0, 1e30).map(repr),
    st.sampled_from(
        ["1", "0", "5.", ".5", ".", "", "nan", "inf", "-1", "-0.0", "1e5", "1E-3", "1e400", " 1", "1f", "+1"]
    ),
)
FEATURES = st.tuples(FIELD_NAMES, IDS, VALUES).map(lambda f: f"{f[0]}\x02{f[1]}\x03{f[2]}")
GOOD_FEATURES = st.tuples(st.sampled_from(["205", "210", "853"]), st.integers(0, 99), st.floats(0, 9)).map(
    lambda f: f"{f[0]}\x02{f[1]}\x03{f[2]:.5f}"
)
LISTS = st.one_of(st.lists(GOOD_FEATURES, max_size=4), st.lists(FEATURES, max_size=3))
COUNTED = LISTS.map(lambda texts: (str(len(texts)), "\x01".join(texts)))
BODIES = st.one_of(
    COUNTED,
    st.tuples(st.sampled_from(["0", "1", "x", ""]), st.text(st.sampled_from("1\x01\x02\x03\x00\r,. "), max_size=6)),
)
HEADS: dict[Kind, st.SearchStrategy[str]] = {
    "skeleton": st.tuples(
        st.one_of(st.integers(0, 2**63 + 1).map(str), st.sampled_from(["", " 1", "0x1", "1", "\ufeff1"])),
        st.sampled_from(["0", "1", "1", "0", "2", "01"]),
        st.sampled_from(["0", "1", ""]),
        st.sampled_from(["k1", "00000000000000ff", "", "ü", "a,b", '"q"', "a\rb"]),
    ).map(",".join),
    "common": st.sampled_from(["k1", "00000000000000ff", "", "ü", "a,b", '"q"', "\ufeffk"]),
}


def _lines(kind: Kind) -> st.SearchStrategy[list[bytes]]:
    text = st.tuples(HEADS[kind], BODIES, st.sampled_from(["", "", "\r"])).map(
        lambda t: f"{t[0]},{t[1][0]},{t[1][1]}{t[2]}"
    )
    damaged = st.binary(max_size=12).map(lambda b: b.replace(b"\n", b""))
    return st.lists(st.one_of(text.map(str.encode), text.map(str.encode), damaged), max_size=12)


@pytest.mark.parametrize("kind", ["skeleton", "common"])
def test_fast_reader_equals_slow_reader_on_any_lines(kind: Kind):
    @settings(max_examples=200)
    @given(lines=_lines(kind), copies=st.sampled_from([1, 9]), more=st.sampled_from([0, 0, 1, 3]))
    def check(lines: list[bytes], copies: int, more: int) -> None:
        if kind == "skeleton":  # further labels, as of a longer funnel
            lines = [line.replace(b",", b"," + b"1," * more, 1) for line in lines]
        many = lines * copies  # nine copies are enough lines for the screen
        _assert_same(parse_lines(many, kind, FIELDS, 2 + more), _slowly(many, kind, 2 + more))

    check()


def _slowly(lines: Sequence[bytes], kind: Kind, num_labels: int) -> ParsedRows:
    """Put together what ``parse_line`` says of each line."""
    parsed = [parse_line(line, kind, FIELDS, num_labels) for line in lines]
    good = [(i, p) for i, p in enumerate(parsed) if isinstance(p, ParsedLine)]
    expected = parse_lines([], kind, FIELDS, num_labels)  # no rows: the form to fill
    features = [(row, *f) for row, (_, p) in enumerate(good) for f in p.features]
    return ParsedRows(
        lines=np.array([i for i, _ in good], np.int64),
        keys=np.array([context_key(p.key) for _, p in good], np.uint64),
        sample_ids=np.array([p.sample_id for _, p in good], np.int64),
        labels=np.array([p.labels for _, p in good], np.uint8).reshape(len(good), expected.labels.shape[1]),
        features=FeatureEntries(
            row=np.array([f[0] for f in features], np.int64),
            field=np.array([f[1] for f in features], np.uint8),
            ids=np.array([f[2] for f in features], np.int64),
            values=np.array([f[3] for f in features], np.float64).astype(np.float32),
        ).in_order(np.arange(len(good)), len(FIELDS)),
        ignored=sum((p.ignored for _, p in good), Counter()),
        rejects=[
            reject(i, p, line) for i, (p, line) in enumerate(zip(parsed, lines, strict=True)) if isinstance(p, Reason)
        ],
    )


def _assert_same(rows: ParsedRows, expected: ParsedRows) -> None:
    for name in ("lines", "keys", "sample_ids", "labels"):
        np.testing.assert_array_equal(getattr(rows, name), getattr(expected, name), err_msg=name)
    for name in ("lengths", "ids", "values"):
        np.testing.assert_array_equal(getattr(rows.features, name), getattr(expected.features, name), err_msg=name)
    assert rows.ignored == expected.ignored
    assert rows.rejects == expected.rejects
