"""Which days there are to do. Pure functions."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import takewhile

from esmm_dist.errors import ConfigError
from launcher.pipeline.config import PipelineConfig


def days_to_do(config: PipelineConfig, done: Sequence[date], now: datetime) -> list[date]:
    """Return the days of one start of the pipeline, oldest first: the last one that is done, and those that are not.

    The last one is looked at again, as its settings may have changed; those before it are over.

    Args:
        config: the pipeline
        done: days whose training has begun, oldest first
        now: this moment, with its time zone

    Raises:
        ConfigError: a day is asked for whose predecessor is not done, or that is over
    """
    asked = config.day or config.until
    last = asked or now.astimezone(config.zone).date() - timedelta(days=1)
    if done and asked is None:
        last = max(last, done[-1])
    if done and last < done[-1]:
        raise ConfigError(
            f"{last} is asked for, but the model has learned from {done[-1]} already, and days are learned in their "
            f"order. Give {done[-1]} or a later day."
        )
    since = done[-1] if done else config.first_day
    days = [day for day in _range(since, last) if day not in config.skip_days or day in done]
    if config.day is not None and len(days) > (2 if done else 1):
        missing = next(day for day in days if day not in done)
        raise ConfigError(
            f"day is {config.day}, but {missing} before it is not done. Do all days (--until {config.day}), or leave "
            f"{missing} out for good (skip_days)."
        )
    return days


def day_before(day: date, done: Iterable[date]) -> date | None:
    """Return the last of the days that are done before a day; None if there is none."""
    return max(takewhile(lambda each: each < day, sorted(done)), default=None)


def _range(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
