"""Times in cron's five fields, as Kubernetes reads them: when a schedule comes next.

Kubernetes parses with robfig/cron v3 (``ParseStandard``): https://pkg.go.dev/github.com/robfig/cron/v3. Two things
differ from Vixie's cron: Sunday is 0 and never 7, and a time that a change of clocks leaves out does not come that day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from esmm_dist.errors import ConfigError

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

YEARS = 5
"""Kubernetes looks no farther ahead either; 29 February is never more than 4 years away before 2100."""

EXAMPLE = "such as '0 4 * * *' (every day at 4:00) or @daily"


@dataclass(frozen=True)
class _Field:
    name: str
    first: int
    last: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, MONTHS),
    _Field("day of the week", 0, 6, WEEKDAYS),
)


@dataclass(frozen=True, kw_only=True)
class CronTimes:
    """The times of a schedule."""

    minutes: frozenset[int]
    hours: frozenset[int]
    month_days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    any_day: bool
    """Whether the day of the month or of the week is ``*``. Otherwise a day that fits one of them is enough."""

    @classmethod
    def parse(cls, text: str) -> "CronTimes":
        """Read a schedule.

        Raises:
            ConfigError: Kubernetes would refuse it, or it never comes
        """
        fields = WORDS.get(text.strip().lower(), text).split()
        if text.strip().startswith("@") and text.strip().lower() not in WORDS:
            raise ConfigError(f"cron is '{text}'. Words are {', '.join(WORDS)}; or write five fields, {EXAMPLE}.")
        if fields and "=" in fields[0]:
            raise ConfigError(f"cron is '{text}', with a time zone in it. Write it as time_zone: Europe/Berlin.")
        if len(fields) != len(_FIELDS):
            raise ConfigError(
                f"cron is '{text}', which has {len(fields)} fields. Write five (minute, hour, day of the month, month, "
                f"day of the week), {EXAMPLE}."
            )
        values = [_values(field, part, text) for field, part in zip(_FIELDS, fields, strict=True)]
        found = cls(
            minutes=values[0],
            hours=values[1],
            month_days=values[2],
            months=values[3],
            weekdays=values[4],
            any_day=_is_any(fields[2]) or _is_any(fields[4]),
        )
        if not any(found._has_day(day) for day in _days(date(2028, 1, 1))):
            raise ConfigError(f"cron is '{text}', a day that never comes. Write another, {EXAMPLE}.")
        return found

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """Return the first time after a moment, in UTC.

        Args:
            moment: a time with its zone
            zone: time zone of the schedule
        """
        for day in _days(moment.astimezone(zone).date() - timedelta(days=1)):
            later = [each for each in self._times(day, zone) if each > moment] if self._has_day(day) else []
            if later:
                return min(later)
        raise AssertionError("parse refuses a schedule that never comes")

    def _has_day(self, day: date) -> bool:
        fits = day.day in self.month_days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (all(fits) if self.any_day else any(fits))

    def _times(self, day: date, zone: ZoneInfo) -> Iterator[datetime]:
        """Yield the times of a day in UTC; twice those of an hour that comes twice, none that clocks leave out."""
        for hour in self.hours:
            for minute in self.minutes:
                for fold in (0, 1):
                    local = datetime.combine(day, time(hour, minute, fold=fold), zone)
                    found = local.astimezone(UTC)
                    if found.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None, fold=0):
                        yield found


def _days(first: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range(YEARS * 366))


def _is_any(part: str) -> bool:
    """Return whether a field leaves all days. ``*/2`` does not."""
    return any(each in ("*", "?", "*/1", "?/1") for each in part.split(","))


def _values(field: _Field, part: str, text: str) -> frozenset[int]:
    found: set[int] = set()
    for each in part.split(","):
        span, slash, step_text = each.partition("/")
        first_text, dash, last_text = span.partition("-")
        if span in ("*", "?"):
            first, last = field.first, field.last
        else:
            first = _number(field, first_text, text)
            # N/STEP is N-LAST/STEP
            last = _number(field, last_text, text) if dash else field.last if slash else first
        step = int(step_text) if step_text.isascii() and step_text.isdigit() else 1 if not slash else 0
        if step < 1 or first > last:
            raise ConfigError(f"cron is '{text}', where the {field.name} is '{part}'. {_allowed(field)}")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(field: _Field, word: str, text: str) -> int:
    if word.lower() in field.words:
        return field.first + field.words.index(word.lower())
    if word.isascii() and word.isdigit() and field.first <= int(word) <= field.last:
        return int(word)
    hint = " Sunday is 0." if word == "7" and field.words == WEEKDAYS else ""
    raise ConfigError(f"cron is '{text}', where the {field.name} has '{word}'.{hint} {_allowed(field)}")


def _allowed(field: _Field) -> str:
    words = f" or {field.words[0].upper()} .. {field.words[-1].upper()}" if field.words else ""
    return f"Write {field.first} .. {field.last}{words}, *, a list (1,2), a range (1-3) or steps (*/2)."
