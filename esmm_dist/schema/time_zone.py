"""The time zone of a log: what day and hour a time is."""

import datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from esmm_dist.errors import SchemaError
from esmm_dist.near_names import nearest_hint

UTC = "UTC"


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
