"""The settings that a search tries: which there are, their checks, and the settings of a trial."""

import dataclasses
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import ConfigError
from esmm_dist.flat_settings import merge
from esmm_dist.near_names import near_names
from esmm_dist.train.config import TrainConfig
from launcher.trainings.settings_file import has, shared_settings
from launcher.tune.setting_range import SettingRange

Kind = Literal["int", "float", "choices"]

_MOST_COMBINATIONS = 1000
_PLACEHOLDER = "trial"

_NOT_SEARCHED = {
    "data": "all trials train on the data set of the study",
    "run": "each trial has a run of its own",
    "seed": "a seed is luck: set seeds to average over several",
    "log_every_steps": "it changes nothing that is learned",
    "checkpoint": "it changes nothing that is learned",
    "evaluation": "trials are compared by their evaluations, which must be alike. Set it under settings",
    "store": "trials keep their rows in their own process",
}
_NOT_GIVEN = {
    ("data",): "Set data beside settings",
    ("run",): "Each trial has a run of its own",
    ("evaluation", "eval_split"): "Trials are compared on the validation split; test is for the end",
    ("store", "servers"): "Trials keep their rows in their own process",
    ("publishing", "publish"): "Models of trials are not served",
}


@dataclass(frozen=True, kw_only=True)
class SearchedSetting:
    """A setting of ``esmm train`` and the values that it may get."""

    path: str
    """As in the search file: ``model.dropout``."""
    keys: tuple[str, ...]
    """The same, a name each."""
    kind: Kind
    range: SettingRange

    @property
    def labels(self) -> Mapping[str, Any]:
        """Choices by their text, under which a study keeps them: Optuna keeps no lists."""
        assert self.range.choices is not None
        return {label(value): value for value in self.range.choices}

    def value(self, kept: Any) -> Any:
        """Return the value that a study keeps, as the setting takes it."""
        return self.labels[kept] if self.kind == "choices" else kept

    def values_to_try(self) -> Sequence[Any]:
        """Return the values that are checked before the first trial."""
        return self.range.values_to_try(whole=self.kind == "int")


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """All settings that are searched, and those that all trials share."""

    searched: tuple[SearchedSetting, ...]
    settings: Mapping[str, Any]
    """What all trials share, as the file has it."""

    @classmethod
    def make(cls, settings: Mapping[str, Any], search: Mapping[str, SettingRange]) -> "SearchSpace":
        """Find the settings that a search names.

        Raises:
            ConfigError: a setting is unknown or of the wrong type, not to be searched, given twice, or takes no range
        """
        searched = tuple(_searched(path, found) for path, found in search.items())
        space = cls(searched=searched, settings=settings)
        given = space.typed_settings
        for each in searched:
            if has(given, each.keys):
                raise ConfigError(f"{each.path} is under settings and under search. Keep one of them.")
        return space

    @property
    def typed_settings(self) -> dict[str, Any]:
        """The settings that all trials share, typed.

        Raises:
            ConfigError: one is unknown, of the wrong type, or not to be given
        """
        return shared_settings("settings", self.settings, _NOT_GIVEN)

    def mapping(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a trial in the form of a ``--config`` file.

        Args:
            values: value of each searched setting, by path
        """
        mapping: dict[str, Any] = to_mapping(dict(self.settings))
        for each in self.searched:
            if each.path in values:
                mapping = merge(mapping, _nested(each.keys, to_mapping({"value": values[each.path]})["value"]))
        return mapping

    def config(self, values: Mapping[str, Any]) -> TrainConfig:
        """Return the settings of a trial as ``esmm train`` has them, with a placeholder for data and run.

        Raises:
            ConfigError: they are refused
        """
        whole = {**self.mapping(values), "data": Path(_PLACEHOLDER), "run": _PLACEHOLDER}
        return build(TrainConfig, whole, where="")

    def check(self, also: Callable[[TrainConfig], object] = lambda config: None) -> None:
        """Check each value alone, then combinations of ends and choices (up to a thousand).

        Args:
            also: checks the settings of a trial further, and raises ConfigError

        Raises:
            ConfigError: a value or a combination is refused
        """
        first = {each.path: each.range.ends()[0] for each in self.searched}
        for each in self.searched:
            for value in each.values_to_try():
                refused = self._refusal({**first, each.path: value}, also)
                alone = refused and self._refusal({each.path: value}, also)
                if alone:
                    raise ConfigError(f"search.{each.path}: {label(value)} is refused. {alone}")
                if refused:
                    raise _combination({**first, each.path: value}, refused)
        for values in self._combinations():
            refused = self._refusal(values, also)
            if refused:
                raise _combination(values, refused)

    def _refusal(self, values: Mapping[str, Any], also: Callable[[TrainConfig], object]) -> str | None:
        try:
            also(self.config(values))
        except ConfigError as e:
            return str(e)
        return None

    def _combinations(self) -> Iterator[dict[str, Any]]:
        ends = [each.range.ends() for each in self.searched]
        names = [each.path for each in self.searched]
        count = 1
        for values in ends:
            count *= len(values)
        if count <= _MOST_COMBINATIONS:
            yield from (dict(zip(names, values, strict=True)) for values in itertools.product(*ends))
            return
        chooser = random.Random(0)  # the same on each start
        for _ in range(_MOST_COMBINATIONS):
            yield {name: chooser.choice(values) for name, values in zip(names, ends, strict=True)}


def label(value: Any) -> str:
    """Return a value as one line of YAML: ``[128, 64]``, ``adagrad``, ``0.05``."""
    text = yaml.safe_dump(to_mapping({"value": value})["value"], default_flow_style=True, width=10_000)
    return text.strip().removesuffix("...").strip()


def _combination(values: Mapping[str, Any], refused: str) -> ConfigError:
    said = ", ".join(f"{path} {label(value)}" for path, value in values.items())
    return ConfigError(
        f"search: {said} is refused. {refused} All values of a search must fit each other; search the others in a "
        "study of their own."
    )


def _searched(path: str, found: SettingRange) -> SearchedSetting:
    keys = tuple(path.split("."))
    reason = _NOT_SEARCHED.get(keys[0])
    if reason is not None:
        raise ConfigError(f"search.{path}: this setting cannot be searched: {reason}.")
    keys, hint = _resolved(path, keys)
    types = [each for each in _members(hint) if each is not type(None)]
    if found.choices is not None:
        texts = [label(value) for value in found.choices]
        if len(set(texts)) < len(texts):
            twice = next(text for text in texts if texts.count(text) > 1)
            raise ConfigError(f"search.{path}: choices has {twice} twice. Keep one of them.")
        return SearchedSetting(path=path, keys=keys, kind="choices", range=found)
    if types == [int]:
        for name in ("low", "high", "step"):
            number = getattr(found, name)
            if number is not None and number != int(number):
                raise ConfigError(f"search.{path}: {name} is {number}, but this setting takes whole numbers.")
        numbers: dict[str, Any] = {
            n: None if (v := getattr(found, n)) is None else int(v) for n in ("low", "high", "step")
        }
        return SearchedSetting(path=path, keys=keys, kind="int", range=dataclasses.replace(found, **numbers))
    if types in ([float], [tuple[float, ...]]):  # a list takes a number alone
        return SearchedSetting(path=path, keys=keys, kind="float", range=found)
    raise ConfigError(f"search.{path}: this setting takes no number, so it has no low and high. Give choices: [...].")


def _resolved(path: str, keys: tuple[str, ...]) -> tuple[tuple[str, ...], Any]:
    """Return the names on the way to a setting, and its type; what follows a mapping's name is one key of it."""
    hint: Any = TrainConfig
    for i, key in enumerate(keys):
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            hints = get_type_hints(hint)
            if key not in hints:
                raise _unknown(path)
            hint = hints[key]
        elif get_origin(hint) is dict:
            return (*keys[:i], ".".join(keys[i:])), get_args(hint)[1]
        else:
            raise _unknown(path)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        names = ", ".join(f"{path}.{name}" for name in get_type_hints(hint))
        raise ConfigError(f"search.{path}: this is a group of settings. Name one of them: {names}.")
    return keys, hint


def _unknown(path: str) -> ConfigError:
    known = {leaf.rpartition(".")[2]: leaf for leaf in _leaves(TrainConfig)}
    near = " or ".join(f"'{known[name]}'" for name in near_names(path.rpartition(".")[2], known))
    hint = f" Did you mean {near}?" if near else ""
    return ConfigError(
        f"search.{path}: unknown setting of esmm train.{hint} esmm train --print-config lists all, with their groups."
    )


def _leaves(cls: type, before: str = "") -> Iterator[str]:
    for name, hint in get_type_hints(cls).items():
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            yield from _leaves(hint, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _nested(keys: Sequence[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    assert isinstance(value, dict)
    return value
