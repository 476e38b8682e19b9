"""Score the same impressions with two models, one after the other, and compare them."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.errors import ConfigError, SchemaError
from esmm_dist.input.skipped import skipped_lines
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.progress import Progress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.report.compare_runs.comparison import RunComparison, paired_differences
from esmm_dist.report.compare_runs.config import CompareRunsConfig
from esmm_dist.report.run_scores.kept_scores import KeptScores, ScoreKeeper
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials

if TYPE_CHECKING:
    from esmm_dist.inference.trained_model import TrainedModel


def compare_runs(config: CompareRunsConfig, progress: Progress) -> RunComparison:
    """Compare two models on the same impressions; one of them is in memory at a time.

    Raises:
        EsmmError: A run, the data set or the split is missing, damaged, or does not fit the other.
        ConfigError: Both are the same checkpoint.
        SchemaError: They have other labels.
    """
    import_tensorflow()  # here, so that reading settings and help does not wait for it
    from esmm_dist.inference.run_data import data_of_run
    from esmm_dist.inference.trained_model import open_model
    from esmm_dist.schema.manifest import read_manifest

    world, choices = SoloWorld(), [CheckpointChoice.parse(each) for each in (config.a, config.b)]
    kept: list[KeptScores] = []
    opened: list[tuple[str, int]] = []
    data, records = config.data, 0
    for choice in choices:
        with open_model(choice, progress, connection=config.store, world=world) as trained:
            folder = Folder.open(choice.run)
            place = str(folder.local_path.resolve()) if folder.is_local else str(folder)
            if (place, trained.step) in opened:
                raise ConfigError(
                    f"{config.a} and {config.b} are both step {trained.step} of {folder}. Name two runs, or two "
                    "checkpoints of one: RUN:100 RUN:200"
                )
            if kept and trained.scorer.schema.label_tree != kept[0].tree:
                raise SchemaError(
                    f"{config.a} predicts the labels {', '.join(kept[0].tree.names)}, {config.b} "
                    f"{', '.join(trained.scorer.schema.label_tree.names)}, or in another tree. Compare runs whose "
                    "schemas have the same labels."
                )
            opened.append((place, trained.step))
            data = data_of_run(trained, data, choice.run)  # the second reads what the first does
            records = records or trained.global_batch_records  # the same batches: the same order of impressions
            name = f"{without_credentials(choice.run)} (step {trained.step:,})"
            kept.append(_kept(replace(trained, global_batch_records=records), name, data, config, progress))
    manifest = read_manifest(Path(str(data)))
    split = manifest.split_to_evaluate(config.split)
    (found,) = paired_differences(kept[::-1], data=str(data), split=split)
    return found


def _kept(trained: "TrainedModel", name: str, data: Path, config: CompareRunsConfig, progress: Progress) -> KeptScores:
    """Score a split and keep the scores."""
    from esmm_dist.inference.scoring import own_batches
    from esmm_dist.inference.trained_model import open_split
    from esmm_dist.input.users import BatchUsers

    reader, manifest = open_split(trained, data, config.split, SoloWorld(), on_bad_record=config.on_bad_record)
    split = manifest.split_to_evaluate(config.split)
    impressions = manifest.splits[split].impressions
    keeper = ScoreKeeper()
    keeper.start(impressions)
    progress.start(f"Scoring {split} with {name}", impressions, "impressions")
    try:
        with closing(own_batches(trained.scorer, reader, BatchUsers(trained.scorer.schema))) as batches:
            for batch in batches:
                keeper.add(batch)
                progress.advance(batch.num_impressions)
    finally:
        progress.finish()
    for line in skipped_lines(reader.skipped):
        progress.message(line)
    kept = keeper.kept(name, trained.scorer.schema.label_tree)
    if kept.share < 1:
        progress.message(
            f"{kept.impressions:,} of {impressions:,} impressions are compared: those of {kept.share:.1%} of the "
            "users, chosen by a hash."
        )
    return kept
