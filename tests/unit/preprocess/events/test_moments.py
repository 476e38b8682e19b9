"""Times of events: one moment, however a file writes it."""

import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from esmm_dist.schema.sources import FlatSource
from esmm_dist.schema.time_zone import zone_of
from preprocess.events.moments import moment_of, moment_shown, moments
from preprocess.read.days import day_of
from preprocess.read.flat.local_time import read_times

SOURCE = FlatSource(form="flat", files={"train": "x.csv"}, labels={})
NOON = datetime.datetime(2024, 3, 30, 12, tzinfo=datetime.UTC)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
NOON_US = int(NOON.timestamp()) * 10**6


def read(values: pa.Array, zone: str = "UTC") -> list[int | None]:
    times, is_time = moments(values, SOURCE, zone)
    return [int(time) if there else None for time, there in zip(times, is_time, strict=True)]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["2024-03-30T12:00:00"]),
        pa.array(["2024-03-30 12:00:00.000"]),
        pa.array(["2024-03-30T12:00:00Z"]),
        pa.array(["2024-03-30T14:00:00+02:00"]),
        pa.array([str(NOON_US // 10**6)]),
        pa.array([str(NOON_US // 10**3)]),
        pa.array([f"{NOON_US // 10**6}.0"]),
        pa.array([NOON_US // 10**6], pa.int32()),
        pa.array([NOON_US // 10**3]),
        pa.array([NOON_US]),
        pa.array([NOON_US * 1000]),
        pa.array([float(NOON_US // 10**6)]),
        pa.array([NOON], pa.timestamp("s", "Asia/Shanghai")),
        pa.array([NOON], pa.timestamp("ns")),
        pa.array(["2024-03-30T12:00:00"]).dictionary_encode(),
    ],
)
def test_forms_of_a_moment_are_one(values: pa.Array):
    assert read(values) == [NOON_US]
    assert read(pa.concat_arrays([values, pa.nulls(1, values.type)])) == [NOON_US, None]


def test_fractions_of_seconds_are_kept_to_microseconds():
    assert read(pa.array(["2024-03-30T12:00:00.123456", f"{NOON_US // 10**6}.25"])) == [
        NOON_US + 123456,
        NOON_US + 250000,
    ]


@pytest.mark.parametrize(
    "value", ["", "yesterday", "-5", "inf", "99999999999999999999", "20240231", "2024-03-30T25:00"]
)
def test_what_is_no_time_is_told(value: str):
    assert read(pa.array([value])) == [None]
    assert moment_of(value, "UTC") is None


def test_times_without_zone_are_those_of_the_zone():
    berlin = ZoneInfo("Europe/Berlin")
    # Clocks are put forward on 2024-03-31 at 2:00, and back on 2024-10-27 at 3:00
    texts = ["2024-03-31T01:59:59", "2024-03-31T03:00:00", "2024-10-27T02:30:00", "2024-10-27T03:30:00"]
    expected = [int(datetime.datetime.fromisoformat(t).replace(tzinfo=berlin).timestamp()) * 10**6 for t in texts]
    assert read(pa.array(texts), "Europe/Berlin") == expected
    assert expected[1] - expected[0] == 10**6
    naive = pa.array([datetime.datetime.fromisoformat(t) for t in texts], pa.timestamp("ms"))
    assert read(naive, "Europe/Berlin") == expected
    assert [read(pa.array([t, "x"]), "Europe/Berlin")[0] for t in texts] == expected  # one by one


def test_whole_day_begins_at_midnight_of_the_zone():
    midnight = int(datetime.datetime(2024, 3, 30, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()) * 10**6
    for values in (pa.array([20240330]), pa.array(["20240330"]), pa.array(["2024-03-30"]), pa.array([NOON.date()])):
        assert read(values, "Asia/Shanghai") == [midnight]


def test_moment_is_shown_in_its_zone():
    assert moment_shown(NOON_US, "Europe/Berlin") == "2024-03-30T13:00:00+01:00"
    assert moment_of(moment_shown(NOON_US, "Europe/Berlin"), "UTC") == NOON_US


TEXTS = [
    *(
        "2024-01-31",
        " 2024-01-31 ",
        "2024-01-31T09",
        "2024-01-31T09:30",
        "2024-01-31 09:30:00.5",
        "2024-01-31T09:30:00,5",
    ),
    *("2024-01-31T09:30:00Z", "2024-01-31T23:30:00-05", "2024-01-31T23:30:00+0530", "2024-01-31T09:30:00.1234567"),
    *("1900-01-01", "2999-12-31", "2999-12-31T23:59:59", "1900-01-01T00:00:00"),
    *("20240131", "20240131.0", "20240131.5", "0", "1706690000", "1706690000.5", "1706690000 ", "5.", "30000101"),
    *("1706690000123", "1706690000123456", "1706690000123456789", "9" * 18, "8" * 19),
    # no times
    *("", "nan", "1e9", "-5", "+5", ".5", "9" * 19, "9" * 20, "20240231", "20240231.5", "2024-02-31"),
    *("20240131T093000", "2024-01-31T0930", "2024-01-31T093000", "2024-W05-3", "2024-031", "2024-01-31t09:30"),
    *("2024-01-31T24:00", "2024-01-31T09:30:60", "2024-01-31T09:30:00+05:30:15", "2024-01-31T9:30"),
]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York"])
@pytest.mark.parametrize("text", TEXTS)
def test_what_is_a_time_and_on_which_day_is_the_same_where_a_log_is_cut_by_days(text: str, zone: str):
    """A row must not join by a time that the cut by days refuses, nor the other way round."""
    source = FlatSource(form="flat", files={"train": "x.csv"}, labels={}, time_zone=zone)
    # One by one, and among others of its kind: columns of one form are read at once
    for column in (pa.array([text]), pa.array([text, "2024-01-30T01:00"]), pa.array([text, "2024-01-30T01:00Z"])):
        expected, (times, is_time) = read_times(column, source), moments(column, source, zone)
        assert is_time.tolist() == expected.is_time.tolist()
        days = [
            day_of((EPOCH + datetime.timedelta(microseconds=each)).astimezone(zone_of(zone)).date())
            for each, there in zip(times.tolist(), is_time, strict=True)
            if there
        ]
        assert days == expected.day[expected.is_time].tolist()
