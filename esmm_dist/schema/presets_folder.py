"""Where schemas are read from: files of a user, and the shipped ones."""

from importlib import resources
from pathlib import Path

from esmm_dist.errors import SchemaError
from esmm_dist.near_names import nearest_hint


def available_presets() -> list[str]:
    """Return the names of the shipped schemas, sorted."""
    return sorted(p.stem for p in _preset_folder().glob("*.yaml"))


def schema_path(name_or_path: str) -> Path:
    """Return the path of a schema's file.

    Args:
        name_or_path: name of a shipped schema, or a path that ends in ``.yaml`` or ``.yml``

    Raises:
        SchemaError: There is no such preset.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        return Path(name_or_path)
    path = _preset_folder() / f"{name_or_path}.yaml"
    if not path.is_file():
        raise SchemaError(
            f"There is no schema '{name_or_path}'.{nearest_hint(name_or_path, available_presets())} "
            "For your own log, give the path of a .yaml file."
        )
    return path


def preset_text(name: str) -> str:
    """Return the text of a shipped schema, from which another can be made."""
    return (_preset_folder() / f"{name}.yaml").read_text(encoding="utf-8")


def _preset_folder() -> Path:
    return Path(str(resources.files("esmm_dist.schema"))) / "presets"
