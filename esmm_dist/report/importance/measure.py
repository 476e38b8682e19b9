"""Permute one field after the other, and score the same impressions each time."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from esmm_dist.arrays import F64, I64
from esmm_dist.errors import ConfigError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.input.prefetch import Prefetcher
from esmm_dist.input.skipped import skipped_lines
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.progress import Progress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.report.importance.config import ImportanceConfig
from esmm_dist.report.importance.field_importance import FieldImportance, Importance
from esmm_dist.report.importance.lists_of_batch import with_lists_of
from esmm_dist.report.importance.sample import SplitSample, read_sample
from esmm_dist.report.importance.task_scores import SampleScores
from esmm_dist.schema.data_set_id import data_set_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.value_ids import field_of_name
from esmm_dist.schema.value_inputs import spoken_names
from esmm_dist.storage.folder import Folder

if TYPE_CHECKING:
    from esmm_dist.inference.scoring import PulledBatch, Scorer
    from esmm_dist.inference.trained_model import TrainedModel

_BATCH_IMPRESSIONS = 16_384
"""Impressions that are scored at once, as in ``inference.trained_model``."""

_BATCHES_AHEAD = 2


def measure_importance(config: ImportanceConfig, progress: Progress) -> Importance:
    """Measure what each task loses when a field is permuted.

    Raises:
        EsmmError: The run, the data set or the split is missing, damaged, or does not fit the other.
        ConfigError: A field is unknown, or the model does not see it.
    """
    import_tensorflow()  # here, so that reading settings and help does not wait for it
    from esmm_dist.inference.run_data import data_of_run
    from esmm_dist.inference.trained_model import open_model, open_split

    world = SoloWorld()
    with open_model(config.checkpoint, progress, connection=config.store, world=world) as trained:
        data = data_of_run(trained, config.data, config.checkpoint.run)
        reader, manifest = open_split(trained, data, config.split, world, on_bad_record=config.on_bad_record)
        schema, split = manifest.schema, manifest.split_to_evaluate(config.split)
        fields = _chosen_fields(schema, trained, config.fields)
        of_split = manifest.splits[split].impressions
        sample = read_sample(reader, schema, of_split, config.most_impressions, progress)
        for line in skipped_lines(reader.skipped):
            progress.message(line)
        if sample.batch.num_impressions < of_split:
            progress.message(
                f"{sample.batch.num_impressions:,} of {of_split:,} impressions of {split} are scored, whole user "
                "contexts, chosen by a hash. --most-impressions changes their number."
            )
        auc, found = importance_of_fields(trained.scorer, sample, fields, config, progress)
        spoken = spoken_names(schema)
        seen = trained.scorer.forward.model.seen_fields
        return Importance(
            run=str(Folder.open(config.checkpoint.run)),  # without credentials
            step=trained.step,
            data=str(data),
            data_id=data_set_id(manifest),
            split=split,
            impressions=sample.batch.num_impressions,
            of_impressions=of_split,
            contexts=sample.contexts,
            repeats=config.repeats,
            seed=config.seed,
            auc=auc,
            fields=tuple(found),
            not_seen=tuple(spoken[field.name] for field in schema.fields if field not in seen),
        )


def importance_of_fields(
    scorer: "Scorer", sample: SplitSample, fields: Sequence[Field], config: ImportanceConfig, progress: Progress
) -> tuple[dict[str, float], list[FieldImportance]]:
    """Score a sample as it is, and with each field permuted.

    Args:
        scorer: the model and its rows
        sample: the impressions
        fields: fields that the model sees
        config: number and seed of the permutations
        progress: receives scored impressions

    Returns:
        AUC by task as it is, and the fields, the most important for the last task first.
    """
    schema, batch = scorer.schema, sample.batch
    passes = 1 + len(fields) * config.repeats
    progress.start("Scoring with each field permuted", passes * batch.num_impressions, "impressions")
    try:
        before = _logits(scorer, sample, batch, progress)
        scores = SampleScores(schema.label_tree, batch.labels, before, batch.sample_weights)
        spoken, found = spoken_names(schema), []
        for field in fields:
            permuted = (
                with_lists_of(batch, schema, field, permutation(batch, schema, field, config.seed, repeat))
                for repeat in range(config.repeats)
            )
            losses = scores.loss([_logits(scorer, sample, each, progress, spoken[field.name]) for each in permuted])
            found.append(
                FieldImportance(
                    field=spoken[field.name],
                    owner=field.owner,
                    auc_drop={task: loss.auc_drop for task, loss in losses.items()},
                    standard_error={task: loss.standard_error for task, loss in losses.items()},
                    log_loss_rise={task: loss.log_loss_rise for task, loss in losses.items()},
                )
            )
    finally:
        progress.finish()
    return scores.auc, most_important_first(found, list(scores.auc))


def permutation(batch: GroupedBatch, schema: Schema, field: Field, seed: int, repeat: int) -> I64:
    """Return whose list each group (field of users) or impression gets: int64 [G] or [B].

    Each field has permutations of its own, which do not depend on what other fields are measured.

    Args:
        batch: the whole sample
        schema: its schema
        field: the field
        seed: seed of all permutations
        repeat: number of the permutation
    """
    rows = batch.num_groups if field.owner == "user" else batch.num_impressions
    return np.random.default_rng([seed, schema.fields.index(field), repeat]).permutation(rows)


def most_important_first(fields: Sequence[FieldImportance], tasks: Sequence[str]) -> list[FieldImportance]:
    """Return fields by their importance for the last task, or by the first before it that is known for all of them."""
    known = [task for task in tasks if all(np.isfinite(each.auc_drop[task]) for each in fields)]
    if not known:
        return list(fields)
    return sorted(fields, key=lambda each: -each.auc_drop[known[-1]])


def _chosen_fields(schema: Schema, trained: "TrainedModel", names: Sequence[str]) -> tuple[Field, ...]:
    seen = trained.scorer.forward.model.seen_fields
    if not names:
        return tuple(schema.field(field.name) for field in seen)
    try:
        chosen = dict.fromkeys(field_of_name(schema, name) for name in names)
    except ConfigError as e:
        raise ConfigError(f"fields: {e}") from e
    for field in chosen:
        if field not in seen:
            raise ConfigError(
                f"fields names '{field.name}', which the model does not see, so that nothing changes with it. It sees "
                f"{', '.join(each.name for each in seen)}."
            )
    return tuple(chosen)


def _logits(scorer: "Scorer", sample: SplitSample, batch: GroupedBatch, progress: Progress, note: str = "") -> F64:
    """Return the logits of all impressions, float64 [N, K]; rows are pulled by a thread, ahead of the networks."""

    def pulled() -> Iterator["PulledBatch"]:
        for part in sample.parts(scorer.schema, _BATCH_IMPRESSIONS, batch):
            yield scorer.pull(part)

    found = []
    with Prefetcher(pulled, depth=_BATCHES_AHEAD) as ahead:
        for each in ahead:
            found.append(scorer.score(each))
            progress.advance(each.batch.num_impressions, note)
    return np.concatenate(found)
