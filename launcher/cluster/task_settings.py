"""The settings of a job's task: checked by the task's own class, with places as the job's pods see them."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from esmm_dist.config import build_from, setting_name, to_mapping, unknown_setting
from esmm_dist.errors import ConfigError
from esmm_dist.yaml_text import YamlText
from launcher.cluster import names
from launcher.cluster.locations import CLAIM_SCHEME, Kind, claim_place, resolve_place
from launcher.tasks import TASKS, TaskName
from preprocess.config import DECIDING

OWN_KEYS = ("name", "task", "namespace", "files", "cluster")
"""Keys of a job file that are no settings of the task."""


def own_keys(task: TaskName) -> tuple[str, ...]:
    """Return the keys of a job file that are no settings of a task; train has a setting ``schedule``."""
    return OWN_KEYS if task == "train" else (*OWN_KEYS, "schedule")


CLUSTERS = ("servers", "token_file", "tls_ca", "tls_cert", "tls_key")
"""Settings of a task's group ``store`` that are decided by ``cluster``."""

SERVED = (
    *("bind", "port", "metrics_port", "address_file", "token_file", "insecure_no_token"),
    *("tls_cert", "tls_key", "cache"),
)
"""Settings of task serve that are decided by ``cluster``."""

APART = ("data", "raw", "run", "out", "work", "publish", "html", "png")
"""Settings that must lead to different places: one of them is written, the others are read."""

FOLDERS = ("run", "runs", "init_from", "like", "vocabulary", "work", "publish", "models")
"""Settings that may be in an object store in every task; others are those that the task's command can copy."""

NESTED: Mapping[str, Mapping[tuple[str, ...], Kind | None]] = {
    "pipeline": {("preprocess", "schema"): "schema", ("train", "settings", "init_from"): "folder"},
    "train": {("publishing", "publish"): "folder"},
}
"""Places within groups of a task's settings."""

FETCHED = ("data",)
"""Settings that may be in an object store because the pod copies what they name before several ranks read it."""

IN_RANKS = ("evaluate", "predict")
"""Tasks of one pod that several processes can share (``cluster.pod.workers``)."""


def fetched_settings(task: TaskName, workers: int) -> tuple[str, ...]:
    """Return the settings whose data are copied before the processes of a pod begin.

    Args:
        task: the task
        workers: number of processes of a task of one pod
    """
    return FETCHED if task == "train" or (task in IN_RANKS and workers > 1) else ()


def task_settings(
    task: TaskName, given: Mapping[str, Any], text: YamlText, files: Iterable[str] = (), fetched: tuple[str, ...] = ()
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Check the task's settings by its own class.

    Args:
        task: the task
        given: its settings as the job file has them
        text: the job file
        files: names of the files that the job takes along
        fetched: settings whose data are copied into the pod before it begins

    Returns:
        All of them as pods see them, and the claims that they name.
    """
    cls = TASKS[task].load_settings()
    hints = {setting_name(name): hint for name, hint in get_type_hints(cls).items()}
    known = [setting_name(f.name) for f in dataclasses.fields(cls)]
    for key in given:
        if key not in known:
            raise text.error([str(key)], unknown_setting([str(key)], [*known, *own_keys(task)]))
    if task == "serve":
        _check_served(given, text)
    claims: list[str] = []
    kinds: dict[tuple[str, ...], Kind | None] = {(key,): _kind(task, key, hints[key], fetched) for key in given}
    kinds |= NESTED.get(task, {})
    places = _Places(text=text, kinds=kinds, files=frozenset(files), claims=claims)
    resolved = {key: places.resolve(value, [key]) for key, value in given.items()}
    store = given.get("store")
    if isinstance(store, Mapping):
        for name in CLUSTERS:
            if store.get(name) not in (None, "embedded"):
                raise text.error(
                    ["store", name], f"store.{name} is decided by the cluster section (servers, tls). Leave it out."
                )
    _check_places(given, resolved, text)
    resolved |= {key: names.fetched_path(key) for key in stored_places(given, fetched)}
    # URIs as they were given: a path made of one has a slash less
    settings = to_mapping(build_from(text, cls, resolved)) | stored_places(
        given, [key for key in TASKS[task].stored if key not in fetched]
    )
    if "like" in resolved:  # what the file leaves out comes from that data set, which pods see
        settings = {key: value for key, value in settings.items() if key in resolved or key not in DECIDING}
    if "store" in settings:
        settings["store"] = {key: value for key, value in settings["store"].items() if key not in CLUSTERS}
    if task == "serve":
        settings = {key: value for key, value in settings.items() if key not in SERVED}
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


def _kind(task: TaskName, name: str, hint: Any, fetched: tuple[str, ...]) -> Kind | None:
    """Return what kind of place a setting is. None: no place."""
    if name in FOLDERS or name in fetched or name in TASKS[task].stored:
        return "folder"
    if name == "schema":
        return "schema"
    if task == "pipeline" and name == "raw":
        return "days"
    if task == "predict" and name == "raw":
        return "folder"
    return "files" if hint is Path or Path in get_args(hint) else None


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Resolves the places that settings name."""

    text: YamlText
    kinds: Mapping[tuple[str, ...], Kind | None]
    """What kind of place a setting is; None, or not in here: no place."""
    files: frozenset[str]
    """Names of the files that the job takes along."""
    claims: list[str]
    """Receives the claims."""

    def resolve(self, value: Any, path: list[str | int]) -> Any:
        """Return a setting as pods see it."""
        if isinstance(value, Mapping):
            return {key: self.resolve(each, [*path, key]) for key, each in value.items()}
        if isinstance(value, list):
            return [self.resolve(each, [*path, i]) for i, each in enumerate(value)]
        kind = self.kinds.get(tuple(str(part) for part in path if isinstance(part, str)))
        if not isinstance(value, str) or (kind is None and not value.startswith(CLAIM_SCHEME)):
            return value
        if kind == "schema" and value in self.files:
            return names.carried_path(value)
        try:
            setting = str(path[-1])
            place = claim_place(setting, value) if kind is None else resolve_place(setting, value, kind)
        except ConfigError as e:
            raise self.text.error(path, str(e)) from e
        if place.claim is not None:
            self.claims.append(place.claim)
        return place.location


def _check_served(given: Mapping[str, Any], text: YamlText) -> None:
    """Check that nothing is set that ``cluster`` decides for pods that answer."""
    for name in SERVED:
        if name in given:
            raise text.error([name], f"{name} is decided by the cluster section (cluster.serve). Leave it out.")


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
