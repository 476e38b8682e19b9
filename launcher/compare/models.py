"""The models of a comparison: which settings of ``esmm train`` each name stands for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esmm_dist.api.shipped_settings import settings_path, shipped_names
from esmm_dist.config import build, to_mapping
from esmm_dist.errors import ConfigError
from esmm_dist.flat_settings import merge
from esmm_dist.model.network_names import NETWORKS
from esmm_dist.model.objectives.config import objective_names
from esmm_dist.near_names import near_names
from esmm_dist.train.config import TrainConfig
from esmm_dist.yaml_text import read_yaml
from launcher.compare.config import CompareConfig
from launcher.trainings.settings_file import has, shared_settings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOT_GIVEN = {
    ("data",): "Set data of the comparison",
    ("run",): "Each training has a run of its own",
    ("evaluation", "eval_split"): "Set eval_split of the comparison; training looks at the validation split alone",
    ("store", "servers"): "Rows stay in the process of each training",
    ("publishing", "publish"): "Models of a comparison are not served",
}
_NOT_OF_A_MODEL = {**_NOT_GIVEN, ("seed",): "All models train with the same seeds"}


@dataclass(frozen=True, kw_only=True)
class ComparedModel:
    """One model of a comparison."""

    name: str
    settings: Mapping[str, Any]
    """Settings of its trainings, in the form of a ``--config`` file, without seed, data and run."""
    config: TrainConfig
    """The same, checked, with placeholders for data and run."""


def compared_models(config: CompareConfig) -> tuple[ComparedModel, ...]:
    """Return the models that the settings name, in their order.

    Raises:
        ConfigError: a name is unknown or there twice, or settings are refused
    """
    shared = _shared(config)
    for name, own in config.define.items():
        shared_settings(f"define.{name}", own, _NOT_OF_A_MODEL)
    models = [_model(text, config, shared) for text in config.models]
    names = [each.name for each in models]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"models has '{twice}' twice. Leave one out, or give it another name: OTHER=FILE")
    return tuple(models)


def first_seed(config: CompareConfig) -> int:
    """Return the seed of the first training of each model."""
    found = _shared(config).get("seed", 1)
    assert isinstance(found, int)
    return found


def known_names() -> dict[str, Mapping[str, Any]]:
    """Return the settings of the models that need no file, by name: objectives, then networks."""
    found: dict[str, Mapping[str, Any]] = {name: {"model": {"objective": name}} for name in objective_names()}
    return found | {name: {"model": {"network": [name]}} for name in NETWORKS}


def _shared(config: CompareConfig) -> dict[str, Any]:
    below: Mapping[str, Any] = {}
    if config.train_config is not None:
        below = _file(f"train_config {config.train_config}", config.train_config, _NOT_GIVEN)
    shared_settings("settings", config.settings, _NOT_GIVEN)
    return merge(below, config.settings)


def _file(name: str, path: str, not_given: Mapping[tuple[str, ...], str]) -> Mapping[str, Any]:
    found = read_yaml(settings_path(path, TrainConfig))
    shared_settings(name, found, not_given)
    return found


def _model(text: str, config: CompareConfig, shared: Mapping[str, Any]) -> ComparedModel:
    name, own = _named(text, config)
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"models has '{name}', which cannot be a folder's name. Use letters, digits, '.', '_' and '-', or give "
            "NAME=FILE."
        )
    if name == "truth":
        raise ConfigError("models has 'truth', which is a row of the tables. Give the model another name.")
    settings = to_mapping(_complete(merge(shared, own)))
    try:
        whole = {**settings, "data": Path("data"), "run": "run"}
        first = shared.get("seed", 1)
        for seed in (first + config.seeds - 1, first):
            checked = build(TrainConfig, {**whole, "seed": seed}, where="")
    except ConfigError as e:
        raise ConfigError(f"Model '{name}': {e}") from e
    return ComparedModel(name=name, settings=settings, config=checked)


def _named(text: str, config: CompareConfig) -> tuple[str, Mapping[str, Any]]:
    """Return the name of a model and its own settings."""
    name, is_named, path = text.partition("=")
    if is_named:
        if not path:
            raise ConfigError(f"models has '{text}', which names no file. Give NAME=FILE, or '{name}' alone.")
        return name, _tuned(name, _file(f"Model '{name}'", path, _NOT_OF_A_MODEL), path)
    if text in config.define:
        return text, _tuned(text, config.define[text], f"define.{text}")
    known = known_names()
    if text in known:
        return text, known[text]
    shipped = shipped_names(TrainConfig)
    if text in shipped or text.endswith((".yaml", ".yml")):
        return Path(text).stem, _file(f"Model '{text}'", text, _NOT_OF_A_MODEL)
    names = [*known, *config.define, *shipped]
    near = " or ".join(f"'{each}'" for each in near_names(text, names))
    hint = f" Did you mean {near}?" if near else ""
    if ":" in text:
        hint = f" A network of your own gets a name under define: {{mine: {{model: {{network: '{text}'}}}}}}."
    raise ConfigError(
        f"models has '{text}', which is no model that esmm compare knows.{hint} Known: {', '.join(names)}; or give a "
        ".yaml file of settings, or NAME=FILE."
    )


def _tuned(name: str, own: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return settings of a file or under define, over those that a name stands for if esmm compare knows it."""
    meant = known_names().get(name, {})
    for setting, value in meant.get("model", {}).items():
        given = own.get("model", {}).get(setting, value)
        if given not in (value, value[0] if isinstance(value, list) else value):
            raise ConfigError(
                f"{where} has model.{setting} {_said(given)}, but the model of that name is the {setting} '{name}'. "
                f"Leave {setting} out, or give the model a name of its own."
            )
    return merge(own, meant)


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _complete(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without the seed, with what trainings of a comparison do unless told otherwise."""
    own = {name: value for name, value in settings.items() if name != "seed"}
    evaluation: dict[str, Any] = {"eval_split": "validation", "baseline": False}
    if not has(own, ("evaluation", "calibrate")):
        evaluation["calibrate"] = "none"  # the losses are compared; a line fitted on clicks would hide their bias
    if not own.get("evaluation", {}).get("early_stopping") and not has(own, ("evaluation", "eval_every_steps")):
        evaluation["eval_every_steps"] = 0
    checkpoint = {} if has(own, ("checkpoint", "keep_checkpoints")) else {"checkpoint": {"keep_checkpoints": 1}}
    return merge(merge(checkpoint, own), {"evaluation": evaluation})
