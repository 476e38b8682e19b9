"""Small files of the user's machine that a job takes along: schemas. Pods find them beside the task's settings.

``schema: shop.yaml`` in a job file is read when the job is submitted, and travels in ConfigMap J: the text stands in
``job.yaml`` under ``files``, so that the job is whole without the machine that it came from.
"""

import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from esmm_dist.config import build
from esmm_dist.errors import SchemaError
from esmm_dist.schema.fields import Schema
from esmm_dist.yaml_text import YamlText, parse_yaml, read_text
from launcher.cluster import names
from launcher.tasks import TaskName

SCHEMAS: Mapping[str, tuple[str, ...]] = {"pipeline": ("preprocess", "schema")}
"""Where the settings of a task name a schema's file, if that is not ``schema``."""

MOST_BYTES = 2**18
"""A ConfigMap holds 1 MiB."""

_NAME = re.compile(r"[-._A-Za-z0-9]{1,128}")


def schema_setting(task: TaskName) -> tuple[str, ...]:
    """Return the path of the setting that names a schema."""
    return SCHEMAS.get(task, ("schema",))


def carry_files(
    task: TaskName, given: Mapping[str, Any], text: YamlText, folder: Path | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Find the schema's file that a job names on this machine, and read it.

    Args:
        task: the job's task
        given: the task's settings, as the job file has them
        text: the job file
        folder: folder of the job file. None: it is a text, which has its files in it

    Returns:
        The settings, which name the file without its folder, and the texts of the files by name.

    Raises:
        ConfigError: the file is missing, too long, or no setting names it
        SchemaError: its content is wrong
    """
    files = _own_files(task, text)
    path = list(schema_setting(task))
    settings = deepcopy(dict(given))
    holder: Any = settings
    for part in path[:-1]:
        holder = holder.get(part) if isinstance(holder, dict) else None
    value = holder.get(path[-1]) if isinstance(holder, dict) else None
    for name in files:
        if name != value:
            raise text.error(["files", name], f"files has '{name}', but no setting names it. Leave it out.")
    if value in files:
        _check_schema(files[value], f"{text.where}: files.{value}")
        return settings, files
    if folder is None or not isinstance(value, str) or "://" in value or not value.endswith((".yaml", ".yml")):
        return settings, files
    found = next((each for each in (folder / value, Path(value)) if each.is_file()), None)
    if found is None:
        raise text.error(
            list(path),
            f"{'.'.join(path)} is {value}, and there is no such file in {folder} nor in the current folder. Name a "
            "file of this machine, which the job takes along, a shipped schema, or pvc://CLAIM/PATH.",
        )
    _check_name(task, found.name, text, list(path))
    content = read_text(found)
    if len(content.encode()) > MOST_BYTES:
        raise text.error(
            list(path),
            f"{found} has {len(content.encode()):,} bytes; a job takes along {MOST_BYTES:,} at most. Copy it into a "
            "claim and write pvc://CLAIM/PATH.",
        )
    _check_schema(content, str(found))
    holder[path[-1]] = found.name
    return settings, {found.name: content}


def _own_files(task: TaskName, text: YamlText) -> dict[str, str]:
    given = text.data.get("files", {})
    if not isinstance(given, dict) or not all(isinstance(each, str) for pair in given.items() for each in pair):
        raise text.error(["files"], "files is not a mapping of names to texts. Write 'files: {shop.yaml: TEXT}'.")
    for name in given:
        _check_name(task, name, text, ["files", name])
    return dict(given)


def _check_name(task: TaskName, name: str, text: YamlText, path: list[str | int]) -> None:
    taken = (names.JOB_KEY, names.settings_key(task))
    if name in taken or _NAME.fullmatch(name) is None:
        raise text.error(
            path,
            f"the file is called '{name}'. Call it otherwise: letters, digits, '-', '_' and '.', and not "
            f"{' or '.join(taken)}.",
        )


def _check_schema(content: str, where: str) -> None:
    build(Schema, parse_yaml(content, where=where, error=SchemaError, words=True), where=where, error=SchemaError)
