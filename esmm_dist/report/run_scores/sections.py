"""The scores of a run, or of several side by side, as sections of a page."""

from collections.abc import Sequence

from esmm_dist.report.page.blocks import Block, PageTable, Paragraph, Section
from esmm_dist.report.pictures.numbers_shown import plus_minus, whole
from esmm_dist.report.pictures.shown_text import cut, cut_middle
from esmm_dist.report.run_scores.calibration_pictures import deciles_table, metrics_table, reliability_picture
from esmm_dist.report.run_scores.gain_pictures import gain_picture, lift_picture, lift_table
from esmm_dist.report.run_scores.ranking_pictures import auc_picture, histogram_picture
from esmm_dist.report.run_scores.scores import RunScores
from esmm_dist.report.run_scores.segment_pictures import segment_pictures
from esmm_dist.report.run_scores.shown_names import MOST_RUNS, run_names, shared_tasks


def score_sections(scores: Sequence[RunScores], names: Sequence[str] | None = None) -> Sequence[Section]:
    """Return how well runs rank, whether their probabilities are right, and for whom, with pictures.

    Args:
        scores: scores of one split; of more than six runs the first six are shown
        names: names of the runs; None: the ends of their paths
    """
    names = (run_names(scores) if names is None else [cut_middle(each) for each in names])[:MOST_RUNS]
    left_out, scores = len(scores) - MOST_RUNS, scores[:MOST_RUNS]
    if not scores:
        return []
    lead = (
        f"{whole(scores[0].impressions)} impressions of the {cut(scores[0].split)} split of "
        f"{cut_middle(scores[0].data, 60)}, scored by "
        + (
            f"the checkpoint of step {whole(scores[0].step)}."
            if len(scores) == 1
            else ", ".join(f"{name} (step {whole(each.step)})" for each, name in zip(scores, names, strict=True)) + "."
        )
    )
    if left_out > 0:
        lead += f" {left_out} more runs are left out here."
    if not all(each.impressions for each in scores) or not shared_tasks(scores):
        text = "There are no impressions to score, or the runs have no task in common."
        return [Section(heading="How well it ranks", lead=lead, blocks=[Paragraph(text=text)])]
    sections = [_ranking(scores, names, lead), _calibration(scores, names)]
    return [*sections, *_segments(scores, names)]


def _ranking(scores: Sequence[RunScores], names: Sequence[str], lead: str) -> Section:
    blocks: list[Block] = [
        auc_picture(scores, names),
        metrics_table(scores, names),
        gain_picture(scores, names),
        lift_picture(scores, names),
        lift_table(scores, names),
        histogram_picture(scores, names),
    ]
    return Section(heading="How well it ranks", lead=lead, blocks=blocks)


def _calibration(scores: Sequence[RunScores], names: Sequence[str]) -> Section:
    blocks: list[Block] = [reliability_picture(scores, names), deciles_table(scores, names)]
    if any(each.calibrated_by is not None for each in scores):
        blocks.append(
            Paragraph(
                kind="note",
                text="Probabilities are calibrated as the checkpoint says: "
                + "; ".join(
                    f"{name}: {'calibrated' if each.calibrated_by is not None else 'not calibrated'}"
                    for each, name in zip(scores, names, strict=True)
                )
                + ".",
            )
        )
    return Section(heading="Whether its probabilities are right", blocks=blocks)


def _segments(scores: Sequence[RunScores], names: Sequence[str]) -> list[Section]:
    pictures = segment_pictures(scores, names)
    if not pictures:
        return []
    tables = [_segment_table(scores, names, place) for place in range(len(scores[0].segments))]
    lead = (
        "Users by whether the model has learned their ids, items by how frequent they are in train, values of fields."
    )
    return [Section(heading="For whom it ranks well", lead=lead, blocks=[*pictures, *tables])]


def _segment_table(scores: Sequence[RunScores], names: Sequence[str], place: int) -> PageTable:
    kind = scores[0].segments[place]
    title = cut(kind["title"], 40)
    run_head = ["run"] if len(scores) > 1 else []
    rows = []
    for each, name in zip(scores, names, strict=True):
        for table in each.segments:
            if table["name"] != kind["name"]:
                continue
            for segment in table["segments"]:
                for task, found in segment["tasks"].items():
                    rows.append(
                        [
                            cut(segment["name"], 40),
                            cut(segment["note"], 60),
                            cut(task),
                            *([name] if run_head else []),
                            whole(found["impressions"]),
                            whole(found["positives"]),
                            plus_minus(found["auc"], found["auc_standard_error"]),
                            plus_minus(found["calibration"], found["calibration_standard_error"], 3),
                        ]
                    )
    head = [title, "what it is", "task", *run_head, "impressions", "positives", "AUC", "predicted / actual"]
    return PageTable(
        title=f"AUC and calibration by {title}.",
        head=head,
        rows=rows,
        text_columns=(0, 1, 2, 3) if run_head else (0, 1, 2),
        folded=True,
    )
