"""What a synthetic log holds, for people and for ``synth.json``."""

import math
from dataclasses import dataclass
from typing import Any

from esmm_dist.config import to_mapping
from preprocess.synthetic.config import REAL_CLICK_RATE, REAL_CONVERSION_RATE, SynthConfig

TASKS = ("ctr", "cvr", "ctcvr")


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """Counts of one split."""

    lines: int
    """Lines of the skeleton file."""
    impressions: int
    """Lines that are neither malformed nor repeated."""
    common_rows: int
    """Lines of the common features file, duplicated ones counted twice."""
    clicks: int
    conversions: int
    """Impressions with a click and a conversion."""
    warts: dict[str, int]
    """By kind, see ``warts.py``."""
    without_common_row: int
    """Impressions whose common row is missing from the file."""
    mean_ids: dict[str, float]
    """Mean ids an impression in each field; below 1, fields are missing."""
    skeleton_bytes: int
    common_bytes: int

    @property
    def broken_chains(self) -> int:
        """Impressions with a conversion and no click."""
        return self.warts["conversion_without_click"]


@dataclass(frozen=True, kw_only=True)
class SynthReport:
    """What ``synthesize`` wrote."""

    out: str
    splits: dict[str, SplitReport]
    best_auc: dict[str, float]
    """AUC of the true probabilities on the test split, for ctr, cvr (among clicks) and ctcvr. No model can be
    expected to do better."""
    best_auc_standard_error: dict[str, float]
    """DeLong's, for each."""
    ctcvr_auc_of_pctr: float
    """AUC for conversions of the true click probability: what a perfect model of clicks alone would reach."""
    click_rate: float
    conversion_rate: float
    field_sizes: dict[str, int]
    seconds: float

    def to_mapping(self) -> dict[str, Any]:
        """Return plain dicts and numbers for JSON; a nan (too few conversions for an AUC) becomes None."""
        mapping = to_mapping(self)
        for name in ("best_auc", "best_auc_standard_error"):
            mapping[name] = {task: _json_number(value) for task, value in mapping[name].items()}
        mapping["ctcvr_auc_of_pctr"] = _json_number(self.ctcvr_auc_of_pctr)
        return mapping

    def lines(self) -> list[str]:
        """Return the report as lines of text that say what each number means."""
        return [*self._files(), *self._rates(), *self._warts(), *self._best()]

    def _files(self) -> list[str]:
        lines = [f"Wrote a log in the raw Ali-CCP form to {self.out}"]
        for name, split in self.splits.items():
            size = (split.skeleton_bytes + split.common_bytes) / 1e6
            lines.append(
                f"  {name:5}  {split.lines:,} lines, {split.impressions:,} good impressions on {split.common_rows:,} "
                f"common rows; {split.clicks:,} clicks, {split.conversions:,} conversions; {size:,.1f} MB"
            )
        ids = sum(self.splits["train"].mean_ids.values())
        lines.append(f"  {sum(self.field_sizes.values()):,} possible ids; {ids:.0f} ids an impression")
        return lines

    def _rates(self) -> list[str]:
        raised = self.click_rate > REAL_CLICK_RATE or self.conversion_rate > REAL_CONVERSION_RATE
        why = " (at the real rates a log of this size would hold too few to learn from)" if raised else ""
        return [
            f"  planted rates: {self.click_rate:.3%} of impressions are clicked (real set {REAL_CLICK_RATE:.3%}), "
            f"{self.conversion_rate:.3%} of clicks convert (real set {REAL_CONVERSION_RATE:.3%}){why}"
        ]

    def _warts(self) -> list[str]:
        kinds = next(iter(self.splits.values())).warts
        counts = ", ".join(f"{kind} {'+'.join(str(s.warts[kind]) for s in self.splits.values())}" for kind in kinds)
        return [f"  planted faults ({'+'.join(self.splits)}): {counts}"]

    def _best(self) -> list[str]:
        shown = ", ".join(f"{t} {self.best_auc[t]:.4f} ± {self.best_auc_standard_error[t]:.4f}" for t in TASKS)
        return [
            f"Best AUC that any model can reach on test: {shown} (± one standard error)",
            f"  ranking by the true click probability alone reaches ctcvr {self.ctcvr_auc_of_pctr:.4f}",
        ]


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def settings_mapping(config: SynthConfig) -> dict[str, Any]:
    """Return the settings that decide the bytes: all but the folder."""
    mapping = to_mapping(config)
    del mapping["out"]
    return mapping
