"""Choose what the size of a log decides where the settings leave it open: rare ids, groups, lanes.

A pure function of the settings and the number of train impressions, so that neither the number of workers nor a kill
changes the choice. It grows with the log up to what suits large ones: from about a million impressions on only the
lanes still grow. What it is worth on small ones is in README.md, "Settings that follow the log".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from esmm_dist.schema.log_size import SMALL_LOG_IMPRESSIONS

LAYOUT_SETTINGS = ("min_count", "group_size", "lanes")
"""Those that may be left open, in the order of ``Layout``."""

_IMPRESSIONS_PER_COUNT = 50_000
_LARGEST_MIN_COUNT = 20  # the common treatment of Ali-CCP, which leaves 4.5 of 8.1 M ids
_GROUP_SIZE = 8  # beyond 8 the size falls little (README)
# From so many impressions on. Each divides 512, so that the batch that training chooses is the same
_LANES = {100_000_000: 256, 10_000_000: 128, 100_000: 64, 50_000: 32, 0: 16}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which ids the records of a data set hold, and how they are cut."""

    min_count: int
    group_size: int
    lanes: int
    reasons: Mapping[str, str]
    """Why each was chosen; those that the settings give are left out."""
    train_impressions: int
    """What was chosen by."""

    @property
    def settings(self) -> dict[str, int]:
        """The values by name."""
        return {name: getattr(self, name) for name in LAYOUT_SETTINGS}

    def report(self) -> dict[str, Any]:
        """Return what the manifest keeps of the choice."""
        return {"train_impressions": self.train_impressions, **self.settings, "reasons": dict(self.reasons)}

    def lines(self) -> list[str]:
        """Return the choice in sentences, for people; none if the settings give everything."""
        if not self.reasons:
            return []
        head = f"Settings chosen for a log of {self.train_impressions:,} train impressions (flags override them):"
        return [head, *(f"  {name} {getattr(self, name)}: {reason}" for name, reason in self.reasons.items())]


def choose_layout(settings: Mapping[str, Any], train_impressions: int) -> Layout:
    """Return the settings' layout; what they leave open (None) is chosen for the size of the log.

    Args:
        settings: those of ``LAYOUT_SETTINGS``, among others; numbers that are given stay
        train_impressions: impressions of the train split, without rejected lines
    """
    reasons: dict[str, str] = {}

    def chosen(name: str, value: int, reason: str) -> int:
        given: int | None = settings[name]
        if given is None:
            reasons[name] = reason
        return value if given is None else given

    min_count = chosen(
        "min_count",
        min(_LARGEST_MIN_COUNT, max(1, train_impressions // _IMPRESSIONS_PER_COUNT)),
        f"1 for each {_IMPRESSIONS_PER_COUNT:,} impressions, at least 1 and at most {_LARGEST_MIN_COUNT}: in a small "
        "log an id that is seen seldom is most of what there is to learn from",
    )
    group_size = chosen(
        "group_size",
        _GROUP_SIZE if train_impressions >= SMALL_LOG_IMPRESSIONS else 1,
        f"{_GROUP_SIZE} from {SMALL_LOG_IMPRESSIONS:,} impressions on, where disk counts; 1 below, where a batch of "
        "few users teaches little",
    )
    lanes = chosen(
        "lanes",
        next(lanes for least, lanes in _LANES.items() if train_impressions >= least),
        "256 from 100,000,000 impressions on, 128 from 10,000,000 on, 64 from 100,000 on, 32 from 50,000 on, else 16: "
        "no more ranks than lanes can read, and a batch has no fewer records than lanes: few batches teach little",
    )
    return Layout(
        min_count=min_count,
        group_size=group_size,
        lanes=lanes,
        reasons=reasons,
        train_impressions=train_impressions,
    )
