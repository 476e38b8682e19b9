"""The settings of a job's task: checked by the task's own class, with places as the job's pods see them."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from esmm_dist.config import build_from, to_mapping, unknown_setting
from esmm_dist.errors import ConfigError
from esmm_dist.yaml_text import YamlText
from launcher.cluster import names
from launcher.cluster.locations import CLAIM_SCHEME, Kind, claim_place, resolve_place
from launcher.tasks import TASKS, TaskName
from preprocess.config import DECIDING

OWN_KEYS = ("name", "task", "namespace", "cluster")
"""Keys of a job file that are no settings of the task."""

CLUSTERS = ("servers", "token_file", "tls_ca", "tls_cert", "tls_key")
"""Settings of a task's group ``store`` that are decided by ``cluster``."""

APART = ("data", "raw", "run", "out")
"""Settings that must lead to different places: one of them is written, the others are read."""

FOLDERS = ("run", "init_from", "like", "vocabulary")
"""Settings that may be in an object store in every task; others are those that the task's command can copy."""

FETCHED = {"train": ("data",)}
"""Settings that may be in an object store because each worker's pod copies what they name before it begins."""


def task_settings(task: TaskName, given: Mapping[str, Any], text: YamlText) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Check the task's settings by its own class.

    Returns:
        All of them as pods see them, and the claims that they name.
    """
    cls = TASKS[task].load_settings()
    hints = get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls)]
    for key in given:
        if key not in known:
            raise text.error([str(key)], unknown_setting([str(key)], [*known, *OWN_KEYS]))
    claims: list[str] = []
    resolved = {key: _resolve(value, _kind(task, key, hints[key]), text, [key], claims) for key, value in given.items()}
    store = given.get("store")
    if isinstance(store, Mapping):
        for name in CLUSTERS:
            if store.get(name) not in (None, "embedded"):
                raise text.error(
                    ["store", name], f"store.{name} is decided by the cluster section (servers, tls). Leave it out."
                )
    _check_places(given, resolved, text)
    resolved |= {key: names.fetched_path(key) for key in stored_places(given, FETCHED.get(task, ()))}
    # URIs as they were given: a path made of one has a slash less
    settings = to_mapping(build_from(text, cls, resolved)) | stored_places(given, TASKS[task].stored)
    if "like" in resolved:  # what the file leaves out comes from that data set, which pods see
        settings = {key: value for key, value in settings.items() if key in resolved or key not in DECIDING}
    if "store" in settings:
        settings["store"] = {key: value for key, value in settings["store"].items() if key not in CLUSTERS}
    return settings, tuple(dict.fromkeys(claims))


def stored_places(given: Mapping[str, Any], settings: Iterable[str]) -> dict[str, str]:
    """Return those of some settings that name a place in an object store. They are resolved: others are in claims."""
    texts = {key: given[key] for key in settings if isinstance(given.get(key), str)}
    return {key: text for key, text in texts.items() if not text.startswith(CLAIM_SCHEME)}


def scratch_claim(place: str, text: YamlText) -> str:
    """Return the claim of ``cluster.pod.scratch``."""
    try:
        claim = resolve_place("scratch", place, "files").claim
    except ConfigError as e:
        raise text.error(["cluster", "pod", "scratch"], str(e)) from e
    assert claim is not None
    return claim


def _kind(task: TaskName, name: str, hint: Any) -> Kind | None:
    """Return what kind of place a setting is. None: no place."""
    if name in FOLDERS or name in FETCHED.get(task, ()) or name in TASKS[task].stored:
        return "folder"
    if name == "schema":
        return "schema"
    return "files" if hint is Path or Path in get_args(hint) else None


def _resolve(value: Any, kind: Kind | None, text: YamlText, path: list[str | int], claims: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _resolve(each, None, text, [*path, key], claims) for key, each in value.items()}
    if isinstance(value, list):
        return [_resolve(each, None, text, [*path, i], claims) for i, each in enumerate(value)]
    if not isinstance(value, str) or (kind is None and not value.startswith(CLAIM_SCHEME)):
        return value
    try:
        setting = str(path[-1])
        place = claim_place(setting, value) if kind is None else resolve_place(setting, value, kind)
    except ConfigError as e:
        raise text.error(path, str(e)) from e
    if place.claim is not None:
        claims.append(place.claim)
    return place.location


def _check_places(given: Mapping[str, Any], resolved: Mapping[str, Any], text: YamlText) -> None:
    """Check that what is read and what is written are different places."""
    seen: dict[str, str] = {}
    for key, place in resolved.items():
        if key not in APART or not isinstance(place, str):
            continue
        other = seen.setdefault(place.rstrip("/"), key)
        if other != key:
            raise text.error(
                [key],
                f"{key} is {given[key]}, and so is {other}: the files of one would lie among those of the other. Give "
                "each a place of its own.",
            )
