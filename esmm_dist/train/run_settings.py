"""The settings of a run: ``config.yaml`` in its folder, and which of them a run that resumes must not change."""

from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import google_crc32c
import yaml

from esmm_dist.config import to_mapping
from esmm_dist.errors import ConfigError, EsmmError
from esmm_dist.model.stored_settings import stored_model_settings
from esmm_dist.schema.manifest import MANIFEST_NAME
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.uris import without_credentials
from esmm_dist.train.config import DenseOptimizerConfig, TrainConfig
from esmm_dist.train.run_folder import read_data_sets
from esmm_dist.words import in_words
from esmm_dist.yaml_text import YamlWriter, parse_yaml

CONFIG_NAME = "config.yaml"

# Settings that shape the state: with another value the saved state would mean something else
_FIXED = ("seed", "schedule", "warmup_steps", "cooldown", "input", "embedding", "model", "dense")
_FREE_WITHIN_FIXED = {
    ("input", "epochs"),
    ("input", "prefetch"),
    ("input", "on_bad_record"),
    ("embedding", "row_slices"),  # follows from settings of the model, which must not change
}

_FOLLOWING = (
    "input.epochs",
    "cooldown",
    "evaluation.eval_split",
    "evaluation.eval_every_steps",
    "evaluation.calibrate",
    "evaluation.early_stopping_metric",
)
"""Settings that follow the data set where nobody gave them. All others stay as they are for the life of a run, also
those that were chosen from the size of its first data set: weights and rows were learned with them."""

_OF_ONE_DATA_SET = ("data", "max_steps", "init_from", "init_what", "continue", "again")
"""Settings that say nothing about the next data set of a run."""

_FREE_BETWEEN_DATA_SETS = {
    ("embedding", "embedding_learning_rate"),
    ("embedding", "row_slices"),
    ("embedding", "evict_every_steps"),
    ("embedding", "ttl_steps"),
    ("embedding", "max_rows"),
    ("dense", "dense_learning_rate"),
}

_OF_ONE_START = ("servers", "token_file", "tls_ca", "tls_cert", "tls_key")
"""How the servers of one start were reached: those of esmm local are gone with it; a run goes on with any."""

_EARLIER_ADAM_EPSILON = 1e-7
"""What runs had that began before dense_adam_epsilon was a setting: Keras' default."""


def write_settings(folder: Folder, config: TrainConfig, chosen: Sequence[str] = ()) -> None:
    """Write the resolved settings of a run, without credentials.

    Args:
        folder: folder of the run
        config: settings of the training
        chosen: lines that say which of them the training chose, and why; empty if it resumes with what it chose before,
            whose lines then stay
    """
    settings = without_credentials(to_mapping(config))
    comments = "".join(f"# {line}\n" for line in chosen) or _comments(folder)
    text = comments + yaml.dump(settings, Dumper=YamlWriter, sort_keys=False, allow_unicode=True)
    folder.write_bytes(CONFIG_NAME, text.encode())


def _comments(folder: Folder) -> str:
    """Return the comments above the settings that are there, if any are."""
    try:
        lines = folder.read_bytes(CONFIG_NAME).decode().splitlines(keepends=True)
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    return "".join(takewhile(lambda line: line.startswith("# "), lines))


def read_settings(location: str | Path) -> dict[str, Any] | None:
    """Return the settings that a run was started with; None if it has none yet.

    With the settings that did not exist then, as they were.

    Raises:
        ConfigError: The file is damaged.
        StorageError: The storage refuses.
    """
    folder = Folder.open(location)
    try:
        text = folder.read_bytes(CONFIG_NAME)
    except FileNotFoundError:
        return None
    try:
        return _with_later_settings(parse_yaml(text, where=f"{folder}/{CONFIG_NAME}"))
    except ConfigError as e:
        raise ConfigError(
            f"{e} Remove that file, and give the run's settings again: esmm train --run "
            f"{without_credentials(str(location))} --data DATA ...; the run resumes from its newest checkpoint."
        ) from e


def read_settings_to_continue(location: str | Path, data: str | Path | None, *, again: bool) -> dict[str, Any] | None:
    """Return the settings with which a run goes on to its next data set; None if it has none yet.

    Those of ``read_settings``, without what belongs to the data set before, and what was chosen from it. Where the next
    data set is the one that the run has begun, what was chosen from it stays: a second choice would take what stands
    beside it for given.

    Args:
        location: folder or URI of the run
        data: the data set to go on with; None: not named
        again: whether a data set that the run has learned from is learned from once more

    Raises:
        ConfigError: The file is damaged.
        CheckpointError: The run's list of data sets is.
        StorageError: The storage refuses.
    """
    settings = read_settings(location)
    if settings is None:
        return None
    records = read_data_sets(Folder.open(location))
    is_begun = (
        not again and data is not None and bool(records) and _manifest_crc32c(data) == records[-1].manifest_crc32c
    )
    chosen = () if is_begun else records[-1].chosen if records else _FOLLOWING
    left: dict[str, Any] = {}
    for group, value in settings.items():
        if isinstance(value, dict):
            names = {name for name in value if f"{group}.{name}" in _FOLLOWING and f"{group}.{name}" in chosen}
            left[group] = {name: each for name, each in value.items() if name not in names}
        elif group not in _OF_ONE_DATA_SET and not (group in _FOLLOWING and group in chosen):
            left[group] = value
    return left


def _manifest_crc32c(data: str | Path) -> int | None:
    """Return the checksum of a data set's manifest; None if there is none, which whoever opens it says."""
    try:
        return int(google_crc32c.value(Folder.open(data).read_bytes(MANIFEST_NAME)))
    except (OSError, EsmmError):
        return None


def chosen_names(given: TrainConfig, resolved: TrainConfig) -> tuple[str, ...]:
    """Return the settings that the given ones leave open and the resolved ones do not, such as ``input.epochs``."""
    before, after = (_by_name(to_mapping(each)) for each in (given, resolved))
    return tuple(name for name, value in after.items() if value is not None and before.get(name) is None)


def still_chosen(names: Sequence[str], config: TrainConfig, before: Mapping[str, Any] | None) -> list[str]:
    """Return the chosen settings that were not given other values since.

    Args:
        names: settings that were chosen
        config: settings as they are given now
        before: resolved settings with which the run was trained last; None: not known
    """
    if before is None:
        return list(names)
    now, then = _by_name(to_mapping(config)), _by_name(before)
    return [name for name in names if now.get(name) in (None, then.get(name))]


def _by_name(settings: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for group, value in settings.items():
        found |= (
            {f"{group}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {group: value}
        )
    return found


def check_settings_to_continue(config: TrainConfig, saved: dict[str, Any], checkpoint: object) -> None:
    """Compare the settings of a data set with those of the checkpoint that the data set before has left.

    Rates, their schedule, batches and passes may differ from one data set to the next.

    Raises:
        ConfigError: A setting that shapes weights or rows has changed; the message names it and both values.
    """
    _check_equal(config, saved, checkpoint, ("seed", "embedding", "model", "dense"), _FREE_BETWEEN_DATA_SETS)


def resumed_settings(
    location: str | Path, *, continues: bool = False, data: str | Path | None = None, again: bool = False
) -> dict[str, Any] | None:
    """Return the settings that a run goes on with where none are given; None if it has none yet.

    Where its rows were is left out: without ``servers`` it goes on in this process.

    Args:
        location: folder or URI of the run
        continues: whether it goes on with its next data set
        data: the data set that it goes on with; None: not named
        again: whether it may be one that the run has learned from

    Raises:
        ConfigError: The file is damaged.
        CheckpointError: The run's list of data sets is.
        StorageError: The storage refuses.
    """
    stored = read_settings_to_continue(location, data, again=again) if continues else read_settings(location)
    if stored is None or not isinstance(stored.get("store"), dict):
        return stored
    store = {name: value for name, value in stored["store"].items() if name not in _OF_ONE_START}
    return {**stored, "store": store}


def check_settings_fit(config: TrainConfig, saved: dict[str, Any], checkpoint: object) -> None:
    """Compare the settings with those of the checkpoint that training would resume from.

    Args:
        config: settings of this training
        saved: settings in the checkpoint's manifest
        checkpoint: place of the checkpoint, for the message

    Raises:
        ConfigError: A setting that shapes the saved state has changed; the message names it and both values.
    """
    _check_equal(config, saved, checkpoint, _FIXED, _FREE_WITHIN_FIXED)


def _check_equal(
    config: TrainConfig,
    saved: dict[str, Any],
    checkpoint: object,
    groups: Sequence[str],
    free: Collection[tuple[str, str | None]],
) -> None:
    """Compare groups of settings but for some that are free.

    Raises:
        ConfigError: One differs.
    """
    current, saved = to_mapping(config), _with_later_settings(saved)
    for group in groups:
        now, before = current[group], saved[group]
        names = now.keys() if isinstance(now, dict) else [None]
        for name in names:
            if (group, name) in free:
                continue
            value, old = (now, before) if name is None else (now[name], before.get(name))
            if value != old:
                now_said, old_said = _said(value), _said(old)
                raise ConfigError(
                    f"{name or group} is {now_said} but {old_said} in {checkpoint}, from which this run would resume. "
                    f"Set it back to {old_said}, or start a new run with another --run."
                )


def _said(value: Any) -> str:
    """Return a setting's value as a sentence has it."""
    is_names = isinstance(value, (list, tuple)) and value and all(isinstance(each, str) for each in value)
    return in_words(value) if is_names else str(value)


def _with_later_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a run's settings with those that did not exist when it began."""
    dense, model = settings.get("dense"), settings.get("model")
    if isinstance(dense, dict):
        default = DenseOptimizerConfig.dense_adam_epsilon
        epsilon = _EARLIER_ADAM_EPSILON if dense.get("dense_optimizer", "adam") == "adam" else default
        settings = {**settings, "dense": {"dense_adam_epsilon": epsilon, **dense}}
    if isinstance(model, dict):
        settings = {**settings, "model": stored_model_settings(model)}
    return settings
