"""When a schedule comes next, as Kubernetes takes it; expected times are read off a calendar."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from esmm_dist.errors import ConfigError
from launcher.cluster.cron import CronTimes

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("0 4 * * *", "2026-11-29T03:59:59", "2026-11-29T04:00"),
        ("0 4 * * *", "2026-11-29T04:00:00", "2026-11-30T04:00"),
        ("@hourly", "2026-12-31T23:30:00", "2027-01-01T00:00"),
        ("*/20 8-9 * * *", "2026-11-29T08:45:00", "2026-11-29T09:00"),
        ("5/20 8 * * *", "2026-11-29T08:25:00", "2026-11-29T08:45"),
        ("0 0 * * MON", "2026-11-29T00:00:00", "2026-11-30T00:00"),  # the 29th is a Sunday
        ("0 0 * * 0", "2026-11-28T12:00:00", "2026-11-29T00:00"),
        ("0 0 1,15 * 3", "2026-11-29T00:00:00", "2026-12-01T00:00"),  # two days given: one of them is enough
        ("0 0 10-12 dec *", "2026-11-29T00:00:00", "2026-12-10T00:00"),
        ("0 0 29 2 *", "2026-11-29T00:00:00", "2028-02-29T00:00"),
        ("0 0 */2 * MON", "2026-11-28T00:00:00", "2026-11-29T00:00"),  # */2 leaves days out: the 29th, or a Monday
    ],
)
def test_the_next_time_in_utc(cron, after, expected):
    found = CronTimes.parse(cron).after(datetime.fromisoformat(after).replace(tzinfo=UTC), ZoneInfo("UTC"))
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_time_zone_moves_with_its_clocks():
    daily = CronTimes.parse("0 4 * * *")
    assert daily.after(datetime(2026, 7, 1, 12, tzinfo=UTC), BERLIN) == datetime(2026, 7, 2, 2, tzinfo=UTC)
    assert daily.after(datetime(2026, 12, 1, 12, tzinfo=UTC), BERLIN) == datetime(2026, 12, 2, 3, tzinfo=UTC)


def test_a_time_that_clocks_leave_out_does_not_come_and_one_that_comes_twice_does():
    # Clocks go from 2:00 to 3:00 on 29 March 2026, and from 3:00 back to 2:00 on 25 October 2026
    times = CronTimes.parse("30 2 * * *")
    assert times.after(datetime(2026, 3, 28, 12, tzinfo=UTC), BERLIN) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)
    first = times.after(datetime(2026, 10, 24, 12, tzinfo=UTC), BERLIN)
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert times.after(first, BERLIN) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "text"),
    [
        ("", "has 0 fields"),
        ("0 4 * *", "has 4 fields. Write five"),
        ("@never", "Words are @yearly"),
        ("@every 1h", "Words are @yearly"),
        ("TZ=UTC 0 4 * * *", "Write it as time_zone"),
        ("60 4 * * *", "the minute has '60'. Write 0 .. 59"),
        ("0 4 * * 7", "the day of the week has '7'. Sunday is 0."),
        ("0 4 * foo *", "the month has 'foo'. Write 1 .. 12 or JAN .. DEC"),
        ("5-3 4 * * *", "the minute is '5-3'"),
        ("*/0 4 * * *", r"the minute is '\*/0'"),
        ("*/x 4 * * *", r"the minute is '\*/x'"),
        ("0 0 31 2 *", "a day that never comes"),
    ],
)
def test_what_kubernetes_refuses_or_never_starts_is_refused(cron, text):
    with pytest.raises(ConfigError, match=text):
        CronTimes.parse(cron)
