"""Find the file that ``--config`` names: a user's own, or one that the project ships."""

from importlib import resources
from pathlib import Path

from esmm_dist.config import Named, typed_settings
from esmm_dist.errors import ConfigError
from esmm_dist.near_names import nearest_hint
from esmm_dist.yaml_text import read_yaml


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
    fitting = shipped_names(cls)
    if name_or_path in fitting:
        return _shipped()[name_or_path]
    if name_or_path in _shipped():
        raise ConfigError(
            f"--config is {name_or_path}, which holds settings of esmm train. Give it to esmm train, or behind -- to "
            "esmm local."
        )
    raise ConfigError(
        f"--config is {name_or_path}, which is neither a .yaml file nor a shipped name."
        + (nearest_hint(name_or_path, fitting) if fitting else " No settings of this command are shipped.")
    )


def shipped_names(cls: type) -> list[str]:
    """Return the names of the shipped files that hold settings of a class, sorted."""
    return [name for name, path in sorted(_shipped().items()) if _holds_settings_of(cls, path)]


def _holds_settings_of(cls: type, path: Path) -> bool:
    try:
        typed_settings(Named(path.stem), cls, read_yaml(path))
    except ConfigError:
        return False
    return True


def _shipped() -> dict[str, Path]:
    return {path.stem: path for path in _shipped_folder().glob("*.yaml")}


def _shipped_folder() -> Path:
    return Path(str(resources.files("esmm_dist.train"))) / "configs"
