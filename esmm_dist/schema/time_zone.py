"""The time zone of a log: what day and hour a time is."""

import datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from esmm_dist.errors import SchemaError
from esmm_dist.near_names import nearest_hint

UTC = "UTC"
_STEP_S = 4 * 86_400  # no zone changes its clocks twice within so many days
_FIRST_YEAR, _LAST_YEAR = 1900, 2100


@cache
def zone_of(name: str) -> datetime.tzinfo:
    """Return a time zone of the IANA database; UTC also on a machine that has none.

    Args:
        name: its name, such as ``Europe/Berlin``

    Raises:
        SchemaError: The machine's database has no such zone.
    """
    if name == UTC:
        return datetime.UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as e:  # not found, or not a name at all
        known = available_timezones()
        hint = nearest_hint(name, known).partition(" Known:")[0]
        lacking = "" if known else " This machine has no time zones: install the package tzdata."
        raise SchemaError(
            f"source.time_zone is '{name}', which is no time zone.{hint}{lacking} Name one such as Europe/Berlin, "
            "Asia/Shanghai or UTC."
        ) from e


@cache
def zone_offsets(name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return when the clocks of a zone are put forward or back, from 1900 to 2100, and by how much it is before UTC.

    Returns:
        Moments in seconds since 1970, ascending, of which the first comes before all others; and the seconds by which
        the zone's clocks are before UTC from each moment on, up to the next.

    Raises:
        SchemaError: The machine's database has no such zone.
    """
    zone = zone_of(name)
    begins, offsets = [-(2**62)], [_offset(_moment(_FIRST_YEAR), zone)]
    for day in range(_moment(_FIRST_YEAR), _moment(_LAST_YEAR) if name != UTC else _moment(_FIRST_YEAR), _STEP_S):
        after = _offset(day + _STEP_S, zone)
        if after == offsets[-1]:
            continue
        before, change = day, day + _STEP_S
        while change - before > 1:
            between = (before + change) // 2
            before, change = (before, between) if _offset(between, zone) != offsets[-1] else (between, change)
        begins.append(change)
        offsets.append(after)
    return tuple(begins), tuple(offsets)


def _moment(year: int) -> int:
    return int(datetime.datetime(year, 1, 1, tzinfo=datetime.UTC).timestamp())


def _offset(second: int, zone: datetime.tzinfo) -> int:
    offset = datetime.datetime.fromtimestamp(second, zone).utcoffset()
    assert offset is not None  # of a time with a zone
    return int(offset.total_seconds())
