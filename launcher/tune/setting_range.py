"""The values that a search may give to one setting."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from esmm_dist.errors import ConfigError

_MOST_TRIED = 100
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class SettingRange:
    """Low and high, or choices."""

    low: int | float | None = None
    """Least value."""

    high: int | float | None = None
    """Largest value."""

    step: int | float | None = None
    """Distance of the values from low on. None: any number, or for a setting of whole numbers each of them."""

    log: bool = False
    """Whether values are drawn evenly in their logarithm: for rates and other values over powers of ten."""

    choices: tuple[Any, ...] | None = None
    """The values themselves, in any order."""

    def __post_init__(self) -> None:
        if self.choices is not None:
            if (self.low, self.high, self.step, self.log) != (None, None, None, False):
                raise ConfigError("choices stands beside low, high, step or log. Give a range or choices.")
            if len(self.choices) < 2:
                raise ConfigError(
                    f"choices has {len(self.choices)} value. Give at least two; a value that all trials have belongs "
                    "under settings."
                )
            return
        if self.low is None or self.high is None:
            raise ConfigError(
                "There are neither choices nor low and high. Write {low: 0, high: 0.6} or {choices: [...]}."
            )
        if self.low >= self.high:
            raise ConfigError(f"low is {self.low} and high is {self.high}. Set low below high.")
        if self.log and self.low <= 0:
            raise ConfigError(f"low is {self.low}, which has no logarithm. Set a positive number, or leave log out.")
        if self.step is not None and self.log:
            raise ConfigError("step and log are both set. Leave one of them out.")
        if self.step is not None and self.step <= 0:
            raise ConfigError(f"step is {self.step}. Set a positive number.")
        if self.step is not None:
            steps = (self.high - self.low) / self.step
            if steps < 1 - _ROUNDING or abs(steps - round(steps)) > _ROUNDING * max(1, steps):
                last = self.low + int(steps) * self.step
                raise ConfigError(
                    f"high is {self.high}, which no number of steps of {self.step} from {self.low} reaches. "
                    f"Set high to {last + self.step:g}" + (f" or {last:g}." if last > self.low else ".")
                )

    @property
    def bounds(self) -> tuple[int | float, int | float]:
        """Low and high of a range."""
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    def ends(self) -> Sequence[Any]:
        """Return low and high, or all choices."""
        return self.bounds if self.choices is None else self.choices

    def values_to_try(self, *, whole: bool) -> Sequence[Any]:
        """Return the values that are checked: the ends, and those between if they are few.

        Args:
            whole: whether the setting takes whole numbers only
        """
        if self.choices is not None:
            return self.choices
        low, high = self.bounds
        step = self.step if self.step is not None else 1 if whole else None
        if step is None or self.log:
            return (low, high)
        count = round((high - low) / step) + 1
        if count > _MOST_TRIED:
            return (low, low + step, high)
        return tuple(low + i * step for i in range(count))
