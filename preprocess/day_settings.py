"""The settings that cut a log by calendar days: how they are written, and which go together."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from esmm_dist.errors import ConfigError
from esmm_dist.schema.fields import Schema

CUTTING = ("train_until", "validation_days", "test_days")
"""Settings that cut other splits out of the train files."""
BETWEEN = ".."
"""Between the first and the last day of ``days``."""


@dataclass(frozen=True, kw_only=True)
class DayChoice:
    """What the user asked for; all days are those of the log's time zone."""

    days: tuple[datetime.date, datetime.date] | None = None
    """First and last day of the data set."""
    train_until: datetime.date | None = None
    """Last day of train."""
    validation_days: int = 0
    test_days: int = 0
    splits: tuple[str, ...] = ()
    """Splits that are cut out of the train files."""

    @property
    def is_made(self) -> bool:
        """Whether days decide anything."""
        return self.days is not None or self.cuts_train

    @property
    def cuts_train(self) -> bool:
        """Whether days decide what of the train files is train."""
        return self.train_until is not None or self.validation_days > 0 or self.test_days > 0


def day_text(value: object) -> object:
    """Return a day as text where YAML has made a date or a number of it: ``days: 2024-01-31``, ``days: 20240131``."""
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value.isoformat()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def parse_day(name: str, text: str) -> datetime.date:
    """Return a day that is written as ``2024-01-31`` or ``20240131``.

    Args:
        name: name of the setting, for the error
        text: what the user wrote

    Raises:
        ConfigError: It is no day.
    """
    try:
        return datetime.date.fromisoformat(text.strip())
    except ValueError as e:
        raise ConfigError(f"{name} is '{text}', which is no day. Write it as 2024-01-31.") from e


def parse_days(text: str) -> tuple[datetime.date, datetime.date]:
    """Return the first and the last day of ``2024-01-31`` or ``2024-01-31..2024-02-02``.

    Raises:
        ConfigError: It is not written so, or ends before it begins.
    """
    first, between, last = text.partition(BETWEEN)
    days = parse_day("days", first), parse_day("days", last if between else first)
    if days[1] < days[0]:
        raise ConfigError(f"days is '{text}', whose last day is before the first. Write the earlier day first.")
    return days


def check_day_settings(settings: Mapping[str, Any]) -> None:
    """Check that each setting is written as it should be.

    Args:
        settings: those of ``PreprocessConfig`` by name

    Raises:
        ConfigError: One is not, or two exclude each other.
    """
    for name in ("validation_days", "test_days"):
        if settings[name] < 0:
            raise ConfigError(f"{name} is {settings[name]}. Set a number of days, 0 or more.")
    if settings["train_until"] is not None:
        parse_day("train_until", settings["train_until"])
    if settings["days"] is not None:
        parse_days(settings["days"])
    cutting = [name for name in CUTTING if settings[name]]
    if settings["by_day"] and cutting:
        raise ConfigError(
            f"by_day makes a data set of each day, and {cutting[0]} is {settings[cutting[0]]}: there are no days to "
            "cut within one. Leave out one of the two; validation_share cuts users out of each day."
        )
    if settings["validation_days"] and settings["validation_share"]:
        raise ConfigError(
            f"validation_days is {settings['validation_days']} and validation_share is "
            f"{settings['validation_share']:g}: each cuts a validation split out of train. Set one of them to 0."
        )


def cut_splits(settings: Mapping[str, Any], schema: Schema) -> tuple[str, ...]:
    """Return the splits that are cut out of the train files by days.

    Raises:
        ConfigError: The settings do not go together with the schema.
    """
    cutting = [name for name in CUTTING if settings[name]]
    used = [*cutting, *(name for name in ("days", "by_day") if settings[name])]
    if not used:
        return ()
    source = schema.flat_source
    shown = used[0] if isinstance(settings[used[0]], bool) else f"{used[0]} is {settings[used[0]]}"
    if source is None or source.time is None:
        raise ConfigError(
            f"{shown}, but schema '{schema.name}' names no column of the time. "
            + (
                "Set source.time."
                if source is not None
                else "Only a flat log has one (source.form: flat, source.time)."
            )
        )
    if not cutting:
        return ()
    if source.split is not None:
        raise ConfigError(
            f"{shown}, but the schema cuts the test split out of the train files by source.split. Leave out one of the "
            "two."
        )
    if settings["validation_days"] and "validation" in source.files:
        raise ConfigError(
            f"validation_days is {settings['validation_days']}, but the log has a validation split of its own "
            "(source.files.validation). Leave out one of the two."
        )
    if settings["test_days"] and "test" in source.files:
        raise ConfigError(
            f"test_days is {settings['test_days']}, but the log has a test split of its own (source.files.test). Leave "
            "out one of the two."
        )
    has_test = (settings["test_days"] or settings["train_until"] is not None) and "test" not in source.files
    return (*(("validation",) if settings["validation_days"] else ()), *(("test",) if has_test else ()))
