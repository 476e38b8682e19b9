"""Choose what the size of a log decides where the settings of a training leave it open (None).

A function of settings and manifest alone, so that all ranks, and a run that is resumed, choose the same. On a large log
the choice is what all results on large logs were reached with. On a small one most ids are seen a few times, and what
an id does by itself is most of what can be learned: a linear term learns it at once, beside slow towers, and a long
cool-down takes out the noise. How well that does is in README.md, "Measured results".
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from esmm_dist.config import to_mapping
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.errors import ConfigError
from esmm_dist.input.defaults import batch_plan, is_small_log
from esmm_dist.model.seen_fields import seen_fields
from esmm_dist.schema.manifest import DatasetManifest
from esmm_dist.storage.uris import without_credentials
from esmm_dist.train.chosen_evaluation import choose_evaluation
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run_settings import chosen_names

_LINEAR_SCALE = 12.0
_ROOT_RATE = 0.0245
_START_SCALE = 0.001
_START_ACCUMULATOR = 0.0144
_DENSE_LEARNING_RATE = 0.0003
_COOLDOWN = 0.65
_HIDDEN_UNITS = (256,)
_CONTINUED_EPOCHS = 1
_CONTINUED_SMALL_COOLDOWN = 0.0

_TOGETHER = {
    "embedding": ("embedding_learning_rate", "start_scale", "start_accumulator"),
    "model": ("linear_scale", "linear_lists"),
    "dense": ("dense_learning_rate",),
}
"""Settings by their group. Each fits the others: where one is given, the others are those of a large log."""

_WITH_ACCUMULATOR = ("adagrad", "rowwise_adagrad", "ftrl")
"""Optimizers of rows with a start_accumulator."""


@dataclass(frozen=True, kw_only=True)
class ChosenSettings:
    """A training's settings without anything open, and why they are what they are."""

    config: TrainConfig
    lines: tuple[str, ...]
    """What was chosen and why, for people; empty if nothing was open."""
    names: tuple[str, ...] = ()
    """The settings that were chosen, such as ``input.epochs``."""


def choose_settings(
    config: TrainConfig,
    manifest: DatasetManifest,
    start: Mapping[str, Any] | None = None,
    *,
    continues: bool = False,
) -> ChosenSettings:
    """Return the settings, with what they leave open chosen for the data set.

    Args:
        config: settings that are given stay
        manifest: manifest of the data set
        start: settings of the run that ``init_from`` names, whose weights ask for what they were trained with; or, of
            a run that continues, those of its data set before; None without either
        continues: whether the run has learned from other data sets before
    """
    given = config
    if continues:
        config = _continued(config, start or {}, manifest)
    plan = batch_plan(config.input, manifest)
    open_plan = {name: value for name, value in to_mapping(plan).items() if getattr(config.input, name) is None}
    small = _learns_as_small(config, manifest)
    fields = seen_fields(manifest.schema, config.model.fields)
    values = _small_log_values(len(fields)) if small else _large_log_values(config)
    train = manifest.splits.get("train")
    size = f"for {train.impressions if train else 0:,} train impressions"
    reason = f"{size}: those of a {'small' if small else 'large'} log{_why_as_large(config, manifest)}"
    if start is not None:
        values |= {name: start.get(group, {}).get(name) for group, names in _TOGETHER.items() for name in names}
        values["hidden_units"] = tuple(start.get("model", {}).get("hidden_units", values["hidden_units"]))
        reason = f"those of {without_credentials(config.init_from or '')}, whose weights this run starts from"
        if continues:
            reason = "those of the run so far"
    if config.model.linear_scale == 0:
        values["linear_lists"] = None  # there is no linear term
    open_values: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    for group, names in _TOGETHER.items():
        settings = getattr(config, group)
        new = {name: values[name] for name in names if getattr(settings, name) is None and values[name] is not None}
        groups[group] = replace(settings, **new)
        open_values |= new
    groups["embedding"], sliced = _with_slices(with_dims(groups["embedding"], manifest), config, manifest)
    if config.cooldown is None:
        open_values["cooldown"] = values["cooldown"]
    if config.model.hidden_units is None:
        open_values["hidden_units"] = values["hidden_units"]
        groups["model"] = replace(groups["model"], hidden_units=values["hidden_units"])
    evaluation, reasons = choose_evaluation(config, manifest, plan)
    resolved = replace(
        config,
        evaluation=evaluation,
        input=replace(config.input, **to_mapping(plan)),
        cooldown=open_values.get("cooldown", config.cooldown),
        **groups,
    )
    return ChosenSettings(
        config=resolved,
        names=chosen_names(given, resolved),
        lines=(
            *_continued_lines(given, config),
            *_line(open_plan, size),
            *_line(_with_effect(open_values, config), reason),
            *sliced,
            *(line for name, reason in reasons.items() for line in _line({name: getattr(evaluation, name)}, reason)),
        ),
    )


def _continued(config: TrainConfig, before: Mapping[str, Any], manifest: DatasetManifest) -> TrainConfig:
    """Return the settings of a run's next data set with what they leave open of passes, batches and cool-down.

    The batch is that of the run, for rates belong to a batch size. The figures are in README.md, "Day after day".
    """
    batch, epochs, cooldown = config.input.global_batch_records, config.input.epochs, config.cooldown
    return replace(
        config,
        input=replace(
            config.input,
            global_batch_records=before.get("input", {}).get("global_batch_records") if batch is None else batch,
            epochs=_CONTINUED_EPOCHS if epochs is None else epochs,
        ),
        cooldown=cooldown if cooldown is not None else _continued_cooldown(config, manifest),
    )


def _continued_cooldown(config: TrainConfig, manifest: DatasetManifest) -> float:
    return _CONTINUED_SMALL_COOLDOWN if is_small_log(manifest) else config.cooldown_share


def _continued_lines(given: TrainConfig, config: TrainConfig) -> list[str]:
    pairs = (
        ("epochs", given.input.epochs, config.input.epochs),
        ("cooldown", given.cooldown, config.cooldown),
    )
    values = {name: value for name, before, value in pairs if before is None and value is not None}
    return _line(values, "for the next data set of a run") if given is not config else []


def with_dims(embedding: EmbeddingConfig, manifest: DatasetManifest) -> EmbeddingConfig:
    """Return the settings of the tables with the columns that the fields of the schema ask for; settings go first."""
    dims = {**manifest.schema.embedding_dims, **embedding.embedding_dim_by_table}
    return replace(embedding, embedding_dim_by_table=dims)


def _with_slices(
    embedding: EmbeddingConfig, config: TrainConfig, manifest: DatasetManifest
) -> tuple[EmbeddingConfig, list[str]]:
    """Return the settings of the tables with a slice for each network that shares no embeddings, and what to say of it.

    Raises:
        ConfigError: The settings name another number of slices, or an optimizer through which slices would share.
    """
    given, slices = embedding.row_slices, config.model.row_slices(len(manifest.schema.labels))
    if given not in (1, slices):
        raise ConfigError(
            f"row_slices is {given}, but with objective {config.model.objective} and the labels of this data set a row "
            f"has {slices}. Leave it out: it follows from share_embeddings."
        )
    said = (
        f"Each of the {slices} networks has columns of its own in every row: with objective {config.model.objective} "
        "they share no embeddings"
    )
    return replace(embedding, row_slices=slices), [said] if given != slices else []


def _line(values: Mapping[str, Any], reason: str) -> list[str]:
    said = {name: " ".join(map(str, value)) if isinstance(value, tuple) else value for name, value in values.items()}
    return [f"Chosen: {', '.join(f'{name} {value}' for name, value in said.items())} ({reason})"] if said else []


def _with_effect(values: Mapping[str, Any], config: TrainConfig) -> dict[str, Any]:
    """Return the values that the optimizer of the rows uses."""
    unused = () if config.embedding.embedding_optimizer in _WITH_ACCUMULATOR else ("start_accumulator",)
    return {name: value for name, value in values.items() if name not in unused}


def _learns_as_small(config: TrainConfig, manifest: DatasetManifest) -> bool:
    return is_small_log(manifest) and not _why_as_large(config, manifest)


def _why_as_large(config: TrainConfig, manifest: DatasetManifest) -> str:
    """Return why a small log is learned with the values of a large one; empty if it is not, or the log is large.

    Those of a small log are Adagrad's, and take a column a label of each row.
    """
    if not is_small_log(manifest):
        return ""
    optimizer = config.embedding.embedding_optimizer
    if optimizer != "adagrad":
        return f", for those of a small one fit adagrad, not {optimizer}"
    groups = [(getattr(config, group), names) for group, names in _TOGETHER.items()]
    given = [name for settings, names in groups for name in names if getattr(settings, name) is not None]
    if given:
        return f", for those of a small one go with each other, and {given[0]} is given"
    embedding, heads = with_dims(config.embedding, manifest), config.model.num_heads(len(manifest.schema.labels))
    linear_columns = 1 if config.model.row_slices(heads) > 1 else heads  # of a slice, or of the row
    narrow = [table for table in manifest.schema.tables if embedding.slice_dim_of(table) <= linear_columns]
    return f", for rows of '{narrow[0]}' have no column to spare for a linear term" if narrow else ""


def _small_log_values(num_fields: int) -> dict[str, Any]:
    # A step moves the logit of an impression by the steps of all its fields
    rate = _ROOT_RATE / math.sqrt(num_fields)
    return {
        "embedding_learning_rate": float(f"{rate:.2g}"),
        "start_scale": _START_SCALE,
        "start_accumulator": _START_ACCUMULATOR,
        "linear_scale": _LINEAR_SCALE,
        "linear_lists": "unit",
        "dense_learning_rate": _DENSE_LEARNING_RATE,
        "cooldown": _COOLDOWN,
        "hidden_units": _HIDDEN_UNITS,
    }


def _large_log_values(config: TrainConfig) -> dict[str, Any]:
    return {
        "embedding_learning_rate": config.embedding.learning_rate,
        "start_scale": config.embedding.start_range,
        "start_accumulator": config.embedding.first_accumulator,
        "linear_scale": 0.0,
        "linear_lists": None,
        "dense_learning_rate": config.dense.learning_rate,
        "cooldown": config.cooldown_share,
        "hidden_units": config.model.layer_widths,
    }
