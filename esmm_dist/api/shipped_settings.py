"""Find the file that ``--config`` names: a user's own, or one that the project ships."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from esmm_dist.config import Named, typed_settings
from esmm_dist.errors import ConfigError
from esmm_dist.near_names import nearest_hint
from esmm_dist.yaml_text import read_yaml

_PACKAGES = {"train": "esmm_dist.train", "preprocess": "preprocess"}
"""Packages with a folder ``configs``, by the command whose settings it holds."""


def settings_path(name_or_path: str, cls: type) -> Path:
    """Return the path of a settings file.

    Args:
        name_or_path: a path that ends in ``.yaml`` or ``.yml``, or the name of a shipped file such as ``small-data``
        cls: class of the settings that it is to hold

    Raises:
        ConfigError: it is neither, or a shipped file of other settings; the nearest shipped name is given
    """
    if name_or_path.endswith((".yaml", ".yml")) or Path(name_or_path).is_file():
        return Path(name_or_path)
    fitting = _fitting(cls)
    if name_or_path in fitting:
        return fitting[name_or_path]
    commands = [f"esmm {command}" for command in _PACKAGES if name_or_path in _shipped(command)]
    if commands:
        places = [*commands, *(["behind -- to esmm local"] if "esmm train" in commands else [])]
        raise ConfigError(
            f"--config is {name_or_path}, which holds settings of {' and '.join(commands)}. Give it to "
            f"{', or '.join(places)}."
        )
    raise ConfigError(
        f"--config is {name_or_path}, which is neither a .yaml file nor a shipped name."
        + (nearest_hint(name_or_path, fitting) if fitting else " No settings of this command are shipped.")
    )


def shipped_names(cls: type) -> list[str]:
    """Return the names of the shipped files that hold settings of a class, sorted."""
    return sorted(_fitting(cls))


def _fitting(cls: type) -> dict[str, Path]:
    """Return the shipped files that hold settings of a class, by name."""
    return {
        name: path for command in _PACKAGES for name, path in _shipped(command).items() if _holds_settings_of(cls, path)
    }


def _holds_settings_of(cls: type, path: Path) -> bool:
    try:
        typed_settings(Named(path.stem), cls, read_yaml(path))
    except ConfigError:
        return False
    return True


def _shipped(command: str) -> Mapping[str, Path]:
    folder = Path(str(resources.files(_PACKAGES[command]))) / "configs"
    return {path.stem: path for path in folder.glob("*.yaml")}
