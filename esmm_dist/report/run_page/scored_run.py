"""The scores of a run for its page: those that are kept, or else computed and kept."""

from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import Any

import google_crc32c

from esmm_dist.checkpoint.best_checkpoint import best_evaluation
from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.checkpoint.format import MANIFEST_NAME, checkpoint_folder, checkpoint_steps
from esmm_dist.checkpoint.reader import Checkpoint, open_checkpoint
from esmm_dist.errors import CheckpointError, InputDataError, StorageError
from esmm_dist.inference.reached_data import ReachedData
from esmm_dist.progress import Progress
from esmm_dist.report.run_page.config import ReportConfig
from esmm_dist.report.run_page.kept_report import read_scores, scores_name, write_scores
from esmm_dist.report.run_scores.kept_scores import KeptScores, ScoreKeeper
from esmm_dist.report.run_scores.score_run import ScoreRequest, score_run
from esmm_dist.report.run_scores.scores import RunScores
from esmm_dist.schema.data_set_id import data_set_id
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials


@dataclass(frozen=True, kw_only=True)
class ScoredRun:
    """The scores of a run, and of each impression if runs are compared."""

    scores: RunScores
    kept: KeptScores | None


ScoreMemory = MutableMapping[tuple[str, str], ScoredRun]
"""What this process has scored, by run and name of file, so that nothing is scored twice."""


def scored_run(choice: CheckpointChoice, config: ReportConfig, progress: Progress, memory: ScoreMemory) -> ScoredRun:
    """Return the scores of a run's checkpoint: the named one, the best, or the newest that can be read.

    A checkpoint that a training removes meanwhile makes room for a newer one, which is taken then.

    Args:
        choice: the run, and maybe its step
        config: what is scored
        progress: receives the number of impressions
        memory: what this process has scored

    Raises:
        CheckpointError: There is no such checkpoint.
        InputDataError: The data set is not within reach, or has no such split.
        EsmmError: Whatever scoring raises.
    """
    run = Folder.open(choice.run)
    tried: set[int] = set()
    while True:
        checkpoint = _chosen(run, choice, tried)
        try:
            return _scored(choice, checkpoint, config, progress, memory)
        except (CheckpointError, StorageError, FileNotFoundError):
            step = checkpoint.manifest.step
            if choice.step is not None or checkpoint_folder(run, step).has(MANIFEST_NAME):
                raise
            tried.add(step)


def _chosen(run: Folder, choice: CheckpointChoice, tried: set[int]) -> Checkpoint:
    """Open the checkpoint that is meant, but for those that went away."""
    if choice.step is not None:
        return open_checkpoint(run, choice.step)
    best = best_evaluation(run)
    steps = [*([best.step] if best is not None else []), *checkpoint_steps(run)]
    problem: CheckpointError | None = None
    for step in (each for each in steps if each not in tried):
        try:
            return open_checkpoint(run, step)
        except CheckpointError as e:
            problem = problem or e
    if problem is not None:
        raise problem
    raise CheckpointError(f"{run} has no checkpoint yet, so that there is no model to score with.")


def _scored(
    choice: CheckpointChoice, checkpoint: Checkpoint, config: ReportConfig, progress: Progress, memory: ScoreMemory
) -> ScoredRun:
    run = Folder.open(choice.run)
    reached = ReachedData.of(checkpoint.manifest, config.data, choice.run)
    if reached.manifest is None:
        raise InputDataError(f"{reached.why_not} Name one with its schema: --data DATA")
    step, split = checkpoint.manifest.step, reached.manifest.split_to_evaluate(config.split)
    if split not in reached.manifest.splits:
        known = ", ".join(reached.manifest.splits)
        raise InputDataError(f"{reached.folder} has no split '{split}'. It has: {known}. Name one: --split SPLIT")
    key: dict[str, Any] = {
        "checkpoint_crc32c": int(google_crc32c.value(checkpoint.folder.read_bytes(MANIFEST_NAME))),
        "data_set": data_set_id(reached.manifest),
        "split": split,
        **{name: getattr(config, name) for name in ("by", "by_values", "gauc_field", "item_field", "on_bad_record")},
    }
    place = (choice.run, scores_name(step, split, key))
    if place in memory:
        return memory[place]
    compares = len(config.runs) > 1
    stored = None if compares else read_scores(run, step, split, key)
    if stored is not None:
        return ScoredRun(scores=replace(stored, run=choice.run, data=str(reached.folder)), kept=None)
    request = ScoreRequest(
        data=reached.folder,
        split=split,
        by=config.by,
        by_values=config.by_values,
        gauc_field=config.gauc_field,
        item_field=config.item_field,
        on_bad_record=config.on_bad_record,
        store=config.store,
    )
    keeper = ScoreKeeper() if compares else None
    scores = score_run(CheckpointChoice(run=choice.run, step=step), request, progress, keeper=keeper)
    write_scores(run, scores, key)
    name = f"{without_credentials(choice.run)} (step {step:,})"
    kept = keeper.kept(name, checkpoint.manifest.schema.label_tree) if keeper is not None else None
    memory[place] = ScoredRun(scores=scores, kept=kept)
    return memory[place]
