"""Read a schema from a shipped preset or from a user's YAML file."""

from importlib import resources
from pathlib import Path

from esmm_dist.config import build
from esmm_dist.errors import SchemaError
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.fields import Schema
from esmm_dist.yaml_text import read_yaml


def available_presets() -> list[str]:
    """Return the names of the shipped schemas, sorted."""
    return sorted(p.stem for p in _preset_folder().glob("*.yaml"))


def load_schema(name_or_path: str) -> Schema:
    """Read a shipped schema by name, or a schema file by path.

    Args:
        name_or_path: ``aliccp``, ``aliccp-full``, ``guidebook``, or a path that ends in ``.yaml`` or ``.yml``.

    Raises:
        SchemaError: There is no such preset or file, or it is wrong; the message names the file and the setting.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
    else:
        path = _preset_folder() / f"{name_or_path}.yaml"
        if not path.is_file():
            raise SchemaError(
                f"There is no schema '{name_or_path}'.{nearest_hint(name_or_path, available_presets())} "
                "For your own log, give the path of a .yaml file."
            )
    return build(Schema, read_yaml(path, error=SchemaError, words=True), where=str(path), error=SchemaError)


def preset_text(name: str) -> str:
    """Return the text of a shipped schema, from which another can be made."""
    return (_preset_folder() / f"{name}.yaml").read_text(encoding="utf-8")


def _preset_folder() -> Path:
    return Path(str(resources.files("esmm_dist.schema"))) / "presets"
