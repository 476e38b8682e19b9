"""A graph reads times as preprocess does."""

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.inference.exported_times import ExportedTimes
from esmm_dist.schema.feature_id import feature_id, missing_id
from esmm_dist.schema.sources import FlatSource
from preprocess.read.flat.local_time import read_times

ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Africa/Casablanca")


def graph_ids(texts: list[str], zone: str, part: str) -> list[int]:
    ids, present = ExportedTimes("at", tf.constant(texts), zone).ids("field", part)  # type: ignore[arg-type]
    assert present.numpy().tolist() == [text.strip() not in ("", "nan", "NaN") for text in texts]
    found: list[int] = ids.numpy().tolist()
    return found


def log_ids(texts: list[str], zone: str, part: str) -> list[int | None]:
    """Ids as preprocess has them; None where it rejects the row."""
    source = FlatSource(form="flat", files={"train": "a.csv"}, labels={}, time_zone=zone)
    times = read_times(pa.array(texts), source)
    values = times.hour if part == "hour" else times.weekday
    good = times.has_hour if part == "hour" else times.is_time
    return [
        missing_id("field") if missing else feature_id("field", value) if is_good else None
        for value, is_good, missing in zip(values.tolist(), good, times.is_missing, strict=True)
    ]


def moments() -> list[int]:
    """Hours around the changes of clocks of many zones in 2024, and other seconds from 1973 to 2098."""
    begins = [
        datetime.datetime(2024, *day, tzinfo=datetime.UTC) for day in ((3, 9), (3, 30), (10, 26), (11, 2), (4, 13))
    ]
    changes = [int(each.timestamp()) + 1799 * n for each in begins for n in range(100)]
    return [*changes, *np.random.default_rng(3).integers(10**8, 4_070_908_800, 200).tolist()]


FORMS = [
    lambda s: str(s),
    lambda s: f"{s}.0",
    lambda s: f"{s}.75",
    lambda s: str(s * 10**9 + 999_999_999),
    lambda s: datetime.datetime.fromtimestamp(s, datetime.UTC).isoformat(),
    lambda s: datetime.datetime.fromtimestamp(s, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.125Z"),
    lambda s: datetime.datetime.fromtimestamp(
        s, datetime.timezone(datetime.timedelta(hours=-9, minutes=-30))
    ).isoformat(),
    lambda s: datetime.datetime.fromtimestamp(s, datetime.UTC).strftime("%Y-%m-%dT%H:%M"),
    lambda s: datetime.datetime.fromtimestamp(s, datetime.UTC).strftime("%Y-%m-%dT%H+05"),
    lambda s: datetime.datetime.fromtimestamp(s, datetime.UTC).strftime(" %Y-%m-%d %H:%M:%S+0530 "),
]


@pytest.mark.parametrize("zone", ZONES)
def test_hours_and_weekdays_are_those_of_preprocess(zone: str):
    texts = [form(second) for form in FORMS for second in moments()] + ["", "nan", "  "]
    for part in ("hour", "weekday"):
        expected = log_ids(texts, zone, part)
        assert None not in expected
        assert graph_ids(texts, zone, part) == expected
    assert len(set(graph_ids(texts, zone, "hour"))) == 25  # and the missing one


def test_whole_days_have_a_weekday(tmp_path: Path):
    begin = datetime.date(1999, 12, 1)
    days = [begin + datetime.timedelta(days=97 * n) for n in range(200)]
    texts = [form for day in days for form in (day.isoformat(), day.strftime("%Y%m%d"), day.strftime("%Y%m%d.0"))]
    assert graph_ids(texts, "Asia/Tokyo", "weekday") == log_ids(texts, "Asia/Tokyo", "weekday")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"at holds a text that is no time with an hour\."):
        graph_ids(["20240131"], "UTC", "hour")


CLOCK = (
    r"(19|20|0)[0-9]{0,3}-[01][0-9]-[0-3][0-9]"
    r"([T ][0-2][0-9](:[0-6][0-9](:[0-6][0-9]([.,][0-9]{1,3})?)?)?(Z|[+-][0-2][0-9]:?[0-6][0-9])?)?"
)
TEXTS = st.one_of(
    st.from_regex(CLOCK, fullmatch=True),
    st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,3})?", fullmatch=True),
    st.from_regex(r"(19|20)[0-9]{2}[01][0-9][0-3][0-9]", fullmatch=True),
    st.sampled_from(["soon", "1e9", "1.5e+09", "+5", "2024-W05-1", "2024-01-31T24:00", "2024-02-30", "0000-01-01"]),
)


@given(TEXTS, st.sampled_from(ZONES[:3]), st.sampled_from(["hour", "weekday"]))
def test_what_preprocess_rejects_is_an_error_of_the_request_and_nothing_else_is(text: str, zone: str, part: str):
    (expected,) = log_ids([text], zone, part)
    if expected is not None:
        assert graph_ids([text], zone, part) == [expected]
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match="at holds a text that is no time"):
            graph_ids([text], zone, part)
