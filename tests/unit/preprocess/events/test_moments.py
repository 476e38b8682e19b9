"""Times of events: one moment, however a file writes it."""

import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from esmm_dist.schema.sources import FlatSource
from preprocess.events.moments import moment_of, moment_shown, moments

SOURCE = FlatSource(form="flat", files={"train": "x.csv"}, labels={})
NOON = datetime.datetime(2024, 3, 30, 12, tzinfo=datetime.UTC)
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
