"""Score one impression without each of its fields."""

from typing import TYPE_CHECKING

import numpy as np

from esmm_dist.arrays import F64, I64, Bools, Ids
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.progress import Progress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.report.importance.config import ExplainConfig
from esmm_dist.report.importance.explanation import Explanation, FieldEffect, FieldValue, LabelPrediction
from esmm_dist.report.importance.find_impression import FoundImpression, find_impression, splits_to_search
from esmm_dist.report.importance.impression_texts import texts_of_impression
from esmm_dist.report.importance.lists_of_batch import joined_batches, list_of, with_ids_in
from esmm_dist.schema.feature_id import missing_id
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.impression_text import name_of
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.schema.value_inputs import spoken_names
from esmm_dist.storage.folder import Folder

if TYPE_CHECKING:
    from esmm_dist.inference.trained_model import TrainedModel
    from esmm_dist.schema.manifest import Split


def explain(config: ExplainConfig, progress: Progress) -> Explanation:
    """Find an impression, and score it with all of its fields and without each.

    Raises:
        EsmmError: The run, the data set or the split is missing, damaged, or does not fit the other.
        InputDataError: There is no such impression.
    """
    import_tensorflow()  # here, so that reading settings and help does not wait for it
    from esmm_dist.inference.run_data import data_of_run
    from esmm_dist.inference.trained_model import open_model, open_split

    world = SoloWorld()
    with open_model(config.checkpoint, progress, connection=config.store, world=world) as trained:
        data = data_of_run(trained, config.data, config.checkpoint.run)
        manifest = read_manifest(data)
        splits = splits_to_search(manifest, config.split)
        found = find_impression(
            lambda split: open_split(trained, data, split, world, with_names=True)[0],
            manifest,
            splits,
            config.sample_id,
            progress,
        )
        names = found.impression.sample_names if manifest.schema.has_text_sample_ids else None
        logits, fields = effects(trained, manifest.schema, found.impression)
        return Explanation(
            run=str(Folder.open(config.checkpoint.run)),  # without credentials
            step=trained.step,
            data=str(data),
            split=found.split,
            sample_id=int(found.impression.sample_ids[0]),
            name=None if names is None else name_of(names[0]).decode(errors="replace"),
            predictions=predictions(manifest.schema.label_tree, logits, found, manifest.splits[found.split]),
            fields=fields,
        )


def effects(trained: "TrainedModel", schema: Schema, impression: GroupedBatch) -> tuple[F64, list[FieldEffect]]:
    """Return the logits float64 [K] of an impression, and what each field that the model sees does to them.

    Without a field, its list is empty; or it holds the id of "no value", where the field has one (``missing: id``) and
    the model has learned it: what an impression gets whose log has no value there. Crosses are fields of their own.

    Args:
        trained: the model
        schema: schema of the data set
        impression: one impression, from ``one_impression``
    """
    from esmm_dist.inference.probabilities import probabilities

    scorer = trained.scorer
    seen = [schema.field(field.name) for field in scorer.forward.model.seen_fields]
    empty = {field: _without_value(trained, schema, field) for field in seen}
    variants = [impression, *(with_ids_in(impression, schema, field, empty[field]) for field in seen)]
    logits = scorer.score(scorer.pull(joined_batches(variants)))
    tree = schema.label_tree
    columns = dict(zip(tree.columns, probabilities(logits, tree), strict=True))
    texts, spoken = texts_of_impression(schema, impression), spoken_names(schema)
    found = []
    for place, field in enumerate(seen, start=1):
        ids, weights = list_of(impression, schema, field)
        taken = ids if field.max_ids is None else ids[: field.max_ids]
        changes = logits[0] - logits[place]
        found.append(
            FieldEffect(
                field=spoken[field.name],
                owner=field.owner,
                values=[
                    FieldValue(
                        id=int(id_),
                        text=texts[field.name].get(int(id_)),
                        weight=1.0 if weights is None else float(weights[number]),
                        learned=bool(is_learned),
                    )
                    for number, (id_, is_learned) in enumerate(
                        zip(taken, learned(trained, field.table, taken), strict=True)
                    )
                ],
                values_left_out=len(ids) - len(taken),
                logit_change={task: float(changes[label]) for label, task in label_tasks(tree).items()},
                without={name: float(column[place]) for name, column in columns.items()},
            )
        )
    return logits[0], found


def predictions(tree: LabelTree, logits: F64, found: FoundImpression, split: "Split") -> list[LabelPrediction]:
    """Return what is predicted for an impression, beside its labels and the split's.

    Args:
        tree: K labels
        logits: float64 [K], of the conditional probabilities
        found: the impression
        split: counts of its split
    """
    from esmm_dist.inference.probabilities import probabilities

    reached = tree.reached(found.impression.labels)[0]
    counts = [split.label_counts[name] for name in tree.names]
    of_label = label_tasks(tree)
    rows = []
    for task, column in zip(tree.tasks, probabilities(logits[np.newaxis], tree), strict=True):
        among = split.impressions if task.given is None else counts[task.given]
        rows.append(
            LabelPrediction(
                task=task.name,
                column=task.column,
                probability=float(column[0]),
                logit=float(logits[task.label]) if of_label[task.label] == task.name else None,
                label=int(reached[task.label]) if task.given is None or reached[task.given] else None,
                rate=counts[task.label] / among if among else None,
            )
        )
    return rows


def label_tasks(tree: LabelTree) -> dict[int, str]:
    """Return the task of each label's own logit: the first label's, and the conditional ones of others."""
    return {task.label: task.name for task in tree.tasks if task.given is not None or task.label == 0}


def learned(trained: "TrainedModel", table: str, ids: Ids) -> Bools:
    """Return for each id whether its row was ever updated, bool [N].

    Args:
        trained: the model
        table: table of the ids
        ids: int64 [N], in any order
    """
    from esmm_dist.kernels.learned_rows import differing_rows

    unique, places = np.unique(ids, return_inverse=True)
    store, starts = trained.scorer.store, trained.start_values[table]
    rows = np.require(store.pull(store.prepare(table, unique)), requirements=["C", "W"])
    differ = np.empty(len(unique), np.bool_)
    differing_rows(rows, starts.choices, starts.picks(unique), differ)
    found: Bools = differ[places]
    return found


def _without_value(trained: "TrainedModel", schema: Schema, field: Field) -> I64:
    """Return the ids of an impression without a value in a field: int64 [0] or [1]."""
    none = np.empty(0, np.int64)
    if schema.flat_source is None or field.missing != "id":
        return none
    one = np.array([missing_id(field.id_space)])
    return one if learned(trained, field.table, one)[0] else none
