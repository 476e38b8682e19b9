"""The day and hour of a time, in the zone of the log, whatever form the time has."""

import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from esmm_dist.errors import SchemaError
from esmm_dist.schema.local_time import LocalTimes, times_of_texts
from esmm_dist.schema.sources import FlatSource
from preprocess.read.days import day_of, day_shown
from preprocess.read.flat.local_time import read_times


def source(zone: str = "UTC", **more: object) -> FlatSource:
    return FlatSource(form="flat", files={"train": "a.csv"}, labels={}, time_zone=zone, **more)  # type: ignore[arg-type]


def shown(times: LocalTimes) -> list[str]:
    """Day and hour of each time; ``-`` where the value is missing and ``?`` where it is none."""
    return [
        "-" if missing else "?" if not is_time else day_shown(day) if hour < 0 else f"{day_shown(day)} {hour}"
        for day, hour, is_time, missing in zip(
            times.day.tolist(), times.hour.tolist(), times.is_time, times.is_missing, strict=True
        )
    ]


def times(values: list[object], zone: str = "UTC", kind: pa.DataType | None = None) -> list[str]:
    return shown(read_times(pa.array(values, kind), source(zone)))


# 2022-04-25 22:30 in UTC is 00:30 of the next day in Berlin
MOMENT = int(datetime.datetime(2022, 4, 25, 22, 30, tzinfo=datetime.UTC).timestamp())
FORMS: list[tuple[object, pa.DataType | None]] = [
    (MOMENT, pa.int64()),
    (MOMENT, pa.uint32()),
    (MOMENT * 10**3, pa.int64()),
    (MOMENT * 10**6 + 1, pa.int64()),
    (MOMENT * 10**9 + 999_999_999, pa.uint64()),
    (MOMENT + 0.25, pa.float64()),
    (str(MOMENT), None),
    (f"{MOMENT}.75", None),
    (str(MOMENT * 10**9), None),
    ("2022-04-25T22:30:00Z", None),
    ("2022-04-25 22:30:00+00:00", None),
    ("2022-04-26T00:30:00.123456789+02:00", None),
    ("2022-04-26 00:30", None),  # without a zone it is the clock of source.time_zone
    (MOMENT, pa.timestamp("s", "Asia/Tokyo")),  # the zone of the type changes no moment
    (MOMENT * 10**9, pa.timestamp("ns", "UTC")),
    (MOMENT + 7200, pa.timestamp("s")),
]


@pytest.mark.parametrize(("value", "kind"), FORMS)
def test_one_moment_has_one_day_and_hour_whatever_form_it_has(value: object, kind: pa.DataType | None):
    assert times([value], "Europe/Berlin", kind) == ["2022-04-26 0"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (20220425, pa.int32()),
        (20220425.0, pa.float64()),
        ("20220425", None),
        ("2022-04-25", None),
        (datetime.date(2022, 4, 25), pa.date32()),
        (datetime.date(2022, 4, 25), pa.date64()),
    ],
)
def test_a_whole_day_is_that_day_in_every_zone_and_has_no_hour(value: object, kind: pa.DataType | None):
    for zone in ("UTC", "Pacific/Kiritimati", "America/Los_Angeles"):
        assert times([value], zone, kind) == ["2022-04-25"]


def test_midnight_is_of_the_day_that_begins():
    last = int(datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC).timestamp())
    assert times([last - 1, last, last + 1]) == ["2024-02-28 23", "2024-02-29 0", "2024-02-29 0"]
    assert times([str(last * 10**9 - 1), str(last * 10**9)]) == ["2024-02-28 23", "2024-02-29 0"]
    assert times(["2024-02-28T23:59:59.999999", "2024-02-29T00:00:00", "2024-02-29T24:00"])[:2] == [
        "2024-02-28 23",
        "2024-02-29 0",
    ]


def test_days_on_which_clocks_are_changed_are_as_zoneinfo_has_them():
    """Berlin skips 02:00 on 2024-03-31 and has it twice on 2024-10-27; Lord Howe moves by half an hour."""
    berlin = ZoneInfo("Europe/Berlin")
    for zone in ("Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca"):
        for day in ((2024, 3, 30), (2024, 10, 26), (2024, 4, 6), (2024, 10, 5), (2024, 11, 2)):
            begin = int(datetime.datetime(*day, tzinfo=datetime.UTC).timestamp())
            seconds = np.arange(begin, begin + 3 * 86_400, 599)
            expected = [datetime.datetime.fromtimestamp(s, ZoneInfo(zone)) for s in seconds.tolist()]
            found = read_times(pa.array(seconds), source(zone))
            assert found.day.tolist() == [day_of(each.date()) for each in expected]
            assert found.hour.tolist() == [each.hour for each in expected]
    spring = [datetime.datetime(2024, 3, 31, h, 30, tzinfo=datetime.UTC).isoformat() for h in (0, 1)]
    assert times([*spring], "Europe/Berlin") == ["2024-03-31 1", "2024-03-31 3"]
    autumn = [datetime.datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=berlin) for fold in (0, 1)]
    assert autumn[1].timestamp() - autumn[0].timestamp() == 3600
    assert times([int(each.timestamp()) for each in autumn], "Europe/Berlin") == ["2024-10-27 2"] * 2
    assert times(["2024-03-31T02:30"], "Europe/Berlin") == ["2024-03-31 2"]  # no clock showed it; it is what it says


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, pa.int64(), "-"),
        (None, pa.timestamp("s"), "-"),
        (None, pa.date32(), "-"),
        (float("nan"), pa.float64(), "-"),
        ("", None, "-"),
        ("nan", None, "-"),
        (-1, pa.int64(), "?"),
        (2**64 - 1, pa.uint64(), "?"),
        ("yesterday", None, "?"),
        ("2022-13-01", None, "?"),
        ("1e300", None, "?"),
        (float("inf"), pa.float64(), "?"),
        (20221345, pa.int64(), "?"),  # looks like a day, and is none: never a second of August 1970
        (True, pa.bool_(), "?"),
        (datetime.time(9, 30), pa.time32("s"), "?"),
        (0, pa.int64(), "1970-01-01 0"),
        (10**11 - 1, pa.int64(), "5138-11-16 9"),
        (10**11, pa.int64(), "1973-03-03 9"),
    ],
)
def test_what_is_missing_and_what_is_no_time(value: object, kind: pa.DataType | None, expected: str):
    assert times([value], "UTC", kind) == [expected]


def test_a_decimal_comma_is_a_point():
    assert shown(read_times(pa.array([f"{MOMENT},5"]), source(decimal=","))) == ["2022-04-25 22"]


def test_weekdays_are_those_of_iso():
    days = np.arange(-800, 20_000, 37)
    found = LocalTimes(day=days, hour=days, is_time=days > 0, is_missing=days > 0)
    assert found.weekday.tolist() == [datetime.date.fromisoformat(day_shown(day)).isoweekday() for day in days.tolist()]


def test_far_days_are_shown_too():
    assert day_shown(10**7) == "29349-01-26"


def test_an_unknown_zone_is_refused_with_the_one_that_is_meant():
    with pytest.raises(
        SchemaError, match=r"source\.time_zone is 'Europe/Berlln', which .* Did you mean 'Europe/Berlin'"
    ):
        source("Europe/Berlln")
    with pytest.raises(
        SchemaError, match=r"source\.time_zone is '\.\./x', which is no time zone\. Name one such as|Did"
    ):
        source("../x")


def test_a_column_of_texts_is_read_as_each_text_is():
    forms = [
        "2024-03-10T{:02d}:{:02d}:59",
        "1984-02-29 {:02d}:{:02d}:07.25+05:30",
        "1979-12-31 {:02d}:{:02d}:61Z",
        "2024-12-31T{:02d}:{:02d}:00,5-0330",
        "17100{:02d}5{:02d}",
        "17100{:02d}5{:02d}.75",
        "2024-03-10T{:02d}:{:02d}:60",
    ]
    odd = [
        "",
        "nan",
        "20240310",
        "20241310",
        "2024-03-10",
        "never",
        "9" * 18,
        "9" * 19,
        "-5",
        "1e9",
        "7.",
        " 12 ",
        None,
    ]
    texts = [form.format(hour, hour * 2) for form in forms for hour in range(26)] + odd
    for zone in ("UTC", "America/New_York", "Asia/Kolkata"):
        one_by_one = [shown(times_of_texts([] if text is None else [text], zone))[0] for text in texts]
        assert times(list(texts), zone, pa.string()) == one_by_one
