"""Settings of the synthetic log, and the click and conversion rates that follow from them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from esmm_dist.errors import ConfigError, SchemaError
from esmm_dist.schema.label_tree import LabelTree, split_after

# Of the real training set: 42.3 million impressions.
REAL_CLICK_RATE = 0.03887
REAL_CONVERSION_RATE = 0.00535

# Enough for a model to learn from: with the real rates, 300,000 impressions hold 62 conversions, fewer than the parts
# of the planted model. 6,000 leave about 25 a category; the caps keep a tiny log from being all clicks.
MIN_CLICKS = 30_000
MIN_CONVERSIONS = 6_000
MAX_RAISED_CLICK_RATE = 0.2
MAX_RAISED_CONVERSION_RATE = 0.25

LATER_RATE = 0.4
"""Share of the impressions with a label that have the next one, from the third on: who has filled a cart often buys."""

STAGES = {
    2: ("click", "conversion"),
    3: ("click", "cart", "purchase"),
    4: ("click", "cart", "purchase", "review"),
}
MOST_LABELS = 4

MIN_IMPRESSIONS = 100
MAX_IMPRESSIONS = 10**9
MOST_SELECTION_BIAS = 5.0
MOST_DAYS = 366


@dataclass(frozen=True, kw_only=True)
class SynthConfig:
    """What ``esmm synth`` writes."""

    out: Path
    """Folder for the raw files; made if it does not exist. An earlier synthetic log in it is replaced, any other log is
    refused."""

    form: Literal["aliccp", "events"] = "aliccp"
    """``aliccp``: the raw Ali-CCP form. ``events``: impressions, clicks and conversions in files of their own, with
    times, and the one-hot fields alone; their schema joins them, and cuts the last ``test_share`` off as the test
    split."""

    days: int = 7
    """Days over which the impressions of ``events`` are spread."""

    impressions: int = 300_000
    """Lines of both skeleton files together, or impressions of ``events``. The default takes seconds to write and a
    minute or two to train on."""

    seed: int = 1
    """Seed of all random draws: the same settings and seed give the same bytes."""

    test_share: float = 0.25
    """Share of the impressions in the test split. The real set has 0.5; a small log needs more of them to train on."""

    list_scale: float = 0.2
    """Mean lengths of the users' lists (109_14, 110_14, 127_14, 150_14) relative to the real ones (69, 250, 154, 136
    ids). 1.0 is the real length, for benchmarks. The default keeps the demo's files small, and the lists from covering
    the whole vocabularies of a small log, which are scaled down too."""

    stages: int = 2
    """Labels of the funnel, 2 to 4: click, conversion; click, cart, purchase; click, cart, purchase, review. The others
    than click are conversions of the label before them."""

    labels: tuple[str, ...] = ()
    """Labels of the funnel in the words of a schema, at most 4: click, purchase, favourite after click. Empty: those of
    ``stages``."""

    ctr: float | None = None
    """Share of impressions that are clicked. None: the real 0.03887, raised in a small log until it holds 30,000
    clicks (to at most 0.2)."""

    cvr: float | None = None
    """Share of clicks that convert: of those with each label that comes right after the first. None: the real 0.00535,
    raised in a small log until it holds 6,000 conversions (to at most 0.25); in a longer funnel 6,000 of its end. Each
    label that comes later has 0.4 of the label before it."""

    selection_bias: float = 0.0
    """How far conversions depend on what draws clicks, -5 .. 5: standard deviation, in logits of a conversion after a
    click, of the user's and the item's part of the click logit. Above 0, impressions that are clicked convert more
    often than those that are not would, so that clicks alone are a biased sample; all other causes of a conversion have
    1.3 together. 0: none."""

    dimension_scale: float | None = None
    """Number of ids of each field relative to the real set; 1.0 gives all 7.8 million. None: follows ``impressions``,
    so that ids repeat about as often as in the real set. Fields of at most 100 ids are never scaled."""

    def __post_init__(self) -> None:
        if not MIN_IMPRESSIONS <= self.impressions <= MAX_IMPRESSIONS:
            raise ConfigError(
                f"impressions is {self.impressions}. Set {MIN_IMPRESSIONS} to {MAX_IMPRESSIONS}; try 300000."
            )
        if not 1 <= self.days <= MOST_DAYS:
            raise ConfigError(f"days is {self.days}. Set 1 to {MOST_DAYS}.")
        if self.form == "aliccp" and self.days != SynthConfig.days:
            raise ConfigError(
                f"days is {self.days}, but a log in the Ali-CCP form has no times. Set form to events (--form events), "
                "or leave out days."
            )
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}. Set 0 or more.")
        if not 0 < self.test_share < 1:
            raise ConfigError(f"test_share is {self.test_share}. Set more than 0 and less than 1, such as 0.25.")
        if not 0 < self.list_scale <= 4:
            raise ConfigError(
                f"list_scale is {self.list_scale}. Set more than 0 and at most 4; 1.0 is the real length."
            )
        if self.dimension_scale is not None and not 0 < self.dimension_scale <= 1:
            raise ConfigError(
                f"dimension_scale is {self.dimension_scale}. Set more than 0 and at most 1.0, the real set's; "
                "or leave it out."
            )
        if not abs(self.selection_bias) <= MOST_SELECTION_BIAS:
            raise ConfigError(
                f"selection_bias is {self.selection_bias}. Set {-MOST_SELECTION_BIAS:g} to {MOST_SELECTION_BIAS:g}; "
                "the other causes of a conversion have 1.3 together."
            )
        if self.stages not in STAGES:
            raise ConfigError(f"stages is {self.stages}. Set {min(STAGES)} to {max(STAGES)}, or list labels.")
        if self.labels and self.stages != 2:
            raise ConfigError(
                f"labels are {', '.join(self.labels)}, and stages is {self.stages}. Leave out one of the two."
            )
        if self.labels and not 2 <= len(self.labels) <= MOST_LABELS:
            raise ConfigError(f"labels are {list(self.labels)}. List 2 to {MOST_LABELS}, such as click,cart,purchase.")
        try:
            _ = self.label_tree
        except SchemaError as e:
            raise ConfigError(f"labels (--labels) are {','.join(self.labels)}: {e}") from e
        for name, rate in (("ctr", self.ctr), ("cvr", self.cvr)):
            if rate is not None and not 0.0005 <= rate <= 0.9:
                raise ConfigError(f"{name} is {rate}. Set 0.0005 to 0.9, or leave it out for the real rate.")

    @property
    def label_tree(self) -> LabelTree:
        """Labels, and which comes after which."""
        return LabelTree.of(*split_after(self.labels or STAGES[self.stages]))

    @property
    def rates(self) -> tuple[float, ...]:
        """Share of the impressions with the label before it that have each label, as planted."""
        after_click = (self.click_rate, self.conversion_rate)
        return tuple(after_click[depth] if depth < 2 else LATER_RATE for depth in self._depths)

    @property
    def _depths(self) -> list[int]:
        return [len(self.label_tree.path(label)) - 1 for label in range(len(self.label_tree.names))]

    @property
    def click_rate(self) -> float:
        """Share of impressions that are clicked, as planted."""
        if self.ctr is not None:
            return self.ctr
        return max(REAL_CLICK_RATE, min(MAX_RAISED_CLICK_RATE, MIN_CLICKS / self.impressions))

    @property
    def conversion_rate(self) -> float:
        """Share of clicks that convert, as planted."""
        if self.cvr is not None:
            return self.cvr
        needed = MIN_CONVERSIONS / (self.impressions * self.click_rate) / LATER_RATE ** (max(self._depths) - 1)
        return max(REAL_CONVERSION_RATE, min(MAX_RAISED_CONVERSION_RATE, needed))

    @property
    def split_impressions(self) -> dict[str, int]:
        """Lines of each split's skeleton file."""
        test = max(1, round(self.impressions * self.test_share))
        return {"train": self.impressions - test, "test": test}
