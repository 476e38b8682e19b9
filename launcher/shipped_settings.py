"""Find the file that ``--config`` names: a user's own, or one that the project ships."""

from importlib import resources
from pathlib import Path

from esmm_dist.config import nearest_hint
from esmm_dist.errors import ConfigError


def settings_path(name_or_path: str) -> Path:
    """Return the path of a settings file.

    Args:
        name_or_path: A path that ends in ``.yaml`` or ``.yml``, or the name of a shipped file such as ``small-data``.

    Raises:
        ConfigError: It is neither; the nearest shipped name is given.
    """
    if name_or_path.endswith((".yaml", ".yml")) or Path(name_or_path).is_file():
        return Path(name_or_path)
    shipped = {path.stem: path for path in _shipped_folder().glob("*.yaml")}
    if name_or_path not in shipped:
        raise ConfigError(
            f"--config is {name_or_path}, which is neither a .yaml file nor a shipped name."
            f"{nearest_hint(name_or_path, shipped)}"
        )
    return shipped[name_or_path]


def _shipped_folder() -> Path:
    return Path(str(resources.files("esmm_dist.train"))) / "configs"
