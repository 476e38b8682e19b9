"""What a reader should know of a data set before training on it, told from its numbers."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from esmm_dist.report.data_page.compared import (
    TRAIN,
    coverage_of_log,
    later_splits,
    looked_at,
    new_occurrence_share,
    ordered_splits,
    psi_of,
    unseen_share,
)
from esmm_dist.report.data_page.drift_level import DRIFTED_PSI, has_drifted
from esmm_dist.report.data_page.rates import ASSUMED_AUC, label_rates
from esmm_dist.report.data_page.texts import field_name, listed, plural, ratio, shown
from esmm_dist.report.data_statistics.statistics import DataStatistics, FieldStatistics
from esmm_dist.report.pictures.numbers_shown import percent, short, whole

LARGE_AUC_ERROR = 0.01
"""A standard error of AUC above this hides the differences that are worth a change of a model (often 0.002 to 0.01)."""

LOST_COVERAGE = 0.1
"""A field that covers this much less of a split than of train is told of: a model learnt to count on it."""

MANY_UNSEEN, MANY_NEW = 0.5, 0.25
"""Shares of a split's distinct ids, and of its occurrences, above which ids that train lacks are told of."""

BROKEN_SHARE = 0.01
"""Share of a label's occurrences without the label on the way to it above which they are more than a few slips."""

REJECTED_SHARE = 0.01


@dataclass(frozen=True, kw_only=True)
class DataFinding:
    """One sentence or two."""

    text: str
    warns: bool
    """Whether it may spoil a model or its evaluation; else it is a remark."""


def findings(statistics: DataStatistics) -> list[DataFinding]:
    """Return what stands out, warnings first."""
    checks: Sequence[Callable[[DataStatistics], Iterator[DataFinding]]] = (
        _nothing_there,
        _missing_splits,
        _one_class,
        _broken_labels,
        _coarse_auc,
        _days_out_of_order,
        _lost_coverage,
        _unseen_ids,
        _drifted,
        _constant_fields,
        _rejected,
        _left_out,
    )
    found = [each for check in checks for each in check(statistics)]
    return [each for each in found if each.warns] + [each for each in found if not each.warns]


def _nothing_there(statistics: DataStatistics) -> Iterator[DataFinding]:
    empty = [shown(name) for name, split in statistics.splits.items() if not split.funnel.impressions]
    if empty or not statistics.splits:
        where = f"{listed(empty)} has" if empty else "The data have"
        yield DataFinding(text=f"{where} no impressions.", warns=True)


def _missing_splits(statistics: DataStatistics) -> Iterator[DataFinding]:
    if TRAIN not in statistics.splits:
        yield DataFinding(
            text="There is no train split: nothing is compared with train, and ids by --min-count are not known.",
            warns=False,
        )
    elif not later_splits(statistics):
        yield DataFinding(
            text="There is only the train split: a model of it can be measured only on impressions that it has seen.",
            warns=False,
        )


def _one_class(statistics: DataStatistics) -> Iterator[DataFinding]:
    for split in ordered_splits(statistics):
        for rate in label_rates(statistics, statistics.splits[split].funnel):
            if not rate.of:
                continue
            if not rate.positives:
                yield DataFinding(
                    text=f"No impression of {shown(split)} has {shown(rate.label)}: there is nothing to "
                    f"{'learn it from' if split == TRAIN else 'measure it by'}.",
                    warns=True,
                )
            elif rate.positives == rate.of:
                which = f"impression with {shown(rate.given)}" if rate.given else "impression"
                yield DataFinding(text=f"Every {which} of {shown(split)} has {shown(rate.label)}, too.", warns=True)


def _broken_labels(statistics: DataStatistics) -> Iterator[DataFinding]:
    for split in ordered_splits(statistics):
        funnel = statistics.splits[split].funnel
        for label, parent in zip(statistics.label_names, statistics.label_parents, strict=True):
            broken = funnel.broken.get(label, 0)
            if not broken or parent < 0:
                continue
            all_of_it = broken + funnel.labels.get(label, 0)
            yield DataFinding(
                text=f"{whole(broken)} impressions of {shown(split)} have {shown(label)} without "
                f"{shown(statistics.label_names[parent])}, {percent(ratio(broken, all_of_it))} of those with "
                f"{shown(label)}: they count as impressions without {shown(label)}.",
                warns=broken > BROKEN_SHARE * all_of_it,
            )


def _coarse_auc(statistics: DataStatistics) -> Iterator[DataFinding]:
    split = looked_at(statistics)
    if split is None:
        return
    rates = label_rates(statistics, statistics.splits[split].funnel)
    coarse = [rate for rate in rates if rate.auc_standard_error > LARGE_AUC_ERROR]
    if coarse:
        coarse.sort(key=lambda rate: -rate.auc_standard_error)
        names = [
            f"{shown(rate.label)} ({whole(rate.positives)} impressions have it: ± {short(rate.auc_standard_error)})"
            for rate in coarse
        ]
        yield DataFinding(
            text=f"{shown(split)} is small for {listed(names)}: ± is the standard error of an AUC of {ASSUMED_AUC} "
            "(Hanley and McNeil 1982). Compare models by their paired difference: esmm compare-runs.",
            warns=True,
        )


def _days_out_of_order(statistics: DataStatistics) -> Iterator[DataFinding]:
    train = statistics.days.get(TRAIN)
    if not train:
        return
    for split in later_splits(statistics):
        days = statistics.days.get(split)
        if not days:
            continue
        if max(days) < max(train):
            yield DataFinding(
                text=f"The last day of {shown(split)} is {max(days)}, before train's, {max(train)}: a model is trained "
                "on what comes after the impressions that it is measured by.",
                warns=True,
            )
        # a split by time within a day leaves that day in both
        elif min(days) < max(train):
            both = len(set(days) & set(train))
            yield DataFinding(
                text=f"{whole(both)} of {shown(split)}'s {whole(len(days))} days are also train's: the split is not by "
                "time, so a measurement says little of how a model does on later days.",
                warns=False,
            )


def _lost_coverage(statistics: DataStatistics) -> Iterator[DataFinding]:
    for split in later_splits(statistics):
        lost = [
            (coverage_of_log(statistics, field, TRAIN) - coverage_of_log(statistics, field, split), field)
            for field in statistics.fields
        ]
        worst = sorted(((gap, field) for gap, field in lost if gap >= LOST_COVERAGE), key=lambda each: -each[0])
        if worst:
            names = [
                f"{field_name(field)} ({percent(coverage_of_log(statistics, field, TRAIN))} of train, "
                f"{percent(coverage_of_log(statistics, field, split))} of {shown(split)})"
                for _, field in worst
            ]
            yield DataFinding(
                text=f"Fewer impressions of {shown(split)} than of train have a value of {listed(names)}: a model "
                "counts on what is not there.",
                warns=True,
            )


def _unseen_ids(statistics: DataStatistics) -> Iterator[DataFinding]:
    for split in later_splits(statistics):
        many = [
            field
            for field in statistics.fields
            if unseen_share(field, split) > MANY_UNSEEN or new_occurrence_share(field, split) > MANY_NEW
        ]
        if many:
            many.sort(key=lambda field: -new_occurrence_share(field, split))
            names = [f"{field_name(field)} ({_unseen_text(field, split)})" for field in many]
            yield DataFinding(
                text=f"Train lacks many ids of {shown(split)}, or has them too seldom: {listed(names)}. A model knows "
                "nothing of them.",
                warns=True,
            )


def _unseen_text(field: FieldStatistics, split: str) -> str:
    of_occurrences = f"{percent(new_occurrence_share(field, split))} of occurrences"
    share = unseen_share(field, split)
    return of_occurrences if math.isnan(share) else f"{percent(share)} of ids, {of_occurrences}"


def _drifted(statistics: DataStatistics) -> Iterator[DataFinding]:
    for split in later_splits(statistics):
        far = sorted(
            (field for field in statistics.fields if has_drifted(field, split)), key=lambda field: -psi_of(field, split)
        )
        if far:
            names = [f"{field_name(field)} ({short(psi_of(field, split))})" for field in far]
            yield DataFinding(
                text=f"Between train and {shown(split)} {listed(names)} {'shifts' if len(far) == 1 else 'shift'}: "
                f"population stability index above {DRIFTED_PSI} and far above what chance gives.",
                warns=True,
            )


def _constant_fields(statistics: DataStatistics) -> Iterator[DataFinding]:
    one, none = [], []
    for field in statistics.fields:
        told = list(field.splits.values())
        if not told or not any(split.funnel.impressions for split in statistics.splits.values()):
            continue
        if not any(inside.covered for inside in told):
            none.append(field_name(field))
        elif _has_one_value(field):
            one.append(field_name(field))
    if one:
        yield DataFinding(text=f"One value only: {listed(one)}. A model learns nothing from {_it(one)}.", warns=True)
    if none:
        yield DataFinding(text=f"No value in any impression: {listed(none)}.", warns=True)


def _has_one_value(field: FieldStatistics) -> bool:
    told = field.splits.get(TRAIN) or next(iter(field.splits.values()))
    return told.distinct_ids == 1 and not field.ids_are_estimates


def _it(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _rejected(statistics: DataStatistics) -> Iterator[DataFinding]:
    rejected = sum(statistics.rejected.values())
    if rejected:
        impressions = sum(split.funnel.impressions for split in statistics.splits.values())
        share = ratio(rejected, rejected + impressions)
        yield DataFinding(
            text=f"{whole(rejected)} {plural(rejected, 'line')} of the log ({percent(share)}) "
            f"{'was' if rejected == 1 else 'were'} rejected: see How this was read.",
            warns=share > REJECTED_SHARE,
        )


def _left_out(statistics: DataStatistics) -> Iterator[DataFinding]:
    for reason, count in statistics.left_out.items():
        if count:
            yield DataFinding(text=f"Not in these numbers: {whole(count)} {shown(reason, 80)}.", warns=False)
    if statistics.sample_share < 1:
        yield DataFinding(
            text=f"The numbers are of a sample: {percent(statistics.sample_share)} was read, chosen by a hash.",
            warns=False,
        )
