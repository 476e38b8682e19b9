"""Places in a job file: ``pvc://CLAIM/PATH`` and object stores, and where pods find them.

A claim is mounted at /mnt/claims/CLAIM in every pod of the job: a worker reads data there, and servers write their
parts of a checkpoint. An object store is reached by its URI from everywhere; data there are copied into each worker's
pod before it begins.
"""

import re
from dataclasses import dataclass
from typing import Literal

from esmm_dist.errors import ConfigError
from esmm_dist.storage.location import Location
from esmm_dist.storage.uris import STORES, without_credentials
from launcher.cluster import names

CLAIM_SCHEME = "pvc://"

_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")

_DAY = re.compile(r"\{[^{}]*\}")

Kind = Literal["files", "folder", "days", "schema"]
"""What a setting may name. files: a claim only; folder: a claim or an object store; days: a folder, with {day} in it;
schema: a shipped schema's name, or a file in a claim."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a setting leads."""

    location: str
    """What pods open: a path, or a URI."""
    claim: str | None = None
    """Claim that it is in; pods mount it."""


def resolve_place(setting: str, value: str, kind: Kind) -> Place:
    """Return where a setting of a task leads in the pods.

    Raises:
        ConfigError: Pods do not see it; the message names the setting.
    """
    _check_printable(setting, value)
    if value.startswith(CLAIM_SCHEME):
        return claim_place(setting, value)
    if kind == "schema" and "/" not in value and not value.endswith((".yaml", ".yml")):
        return Place(location=value)
    found = _URI.match(value)
    scheme = found["scheme"].lower() if found else ""
    if scheme in STORES:
        if kind not in ("folder", "days"):
            raise ConfigError(
                f"{setting} is {without_credentials(value)}, but it is read or written as files. Copy it into a claim "
                "and write pvc://CLAIM/PATH."
            )
        if without_credentials(value) != value:
            raise ConfigError(
                f"{setting} is {without_credentials(value)} with parts that may be credentials, which do not belong "
                "into a job file. Put them into a Secret, as the variables that the store's client reads "
                "(AWS_ACCESS_KEY_ID), and name it in cluster.env_from_secrets."
            )
        _check_uri(setting, _DAY.sub("DAY", value) if kind == "days" else value)
        return Place(location=value)
    other = " or s3://BUCKET/PATH" if kind in ("folder", "days") else ""
    if found and scheme != "file":
        raise ConfigError(
            f"{setting} is {without_credentials(value)}: nothing here opens {scheme}://. Write pvc://CLAIM/PATH{other}."
        )
    raise ConfigError(
        f"{setting} is {value}, a path of this machine, which pods do not see. Write pvc://CLAIM/PATH{other}."
    )


def claim_place(setting: str, value: str) -> Place:
    """Return where a ``pvc://`` leads.

    Raises:
        ConfigError: It names no claim, or leads out of it.
    """
    _check_printable(setting, value)
    claim, _, path = value.removeprefix(CLAIM_SCHEME).partition("/")
    if not names.is_volume_claim(claim):
        raise ConfigError(
            f"{setting} is {value}, but '{claim}' cannot be the name of a claim: 1 .. 57 lower case letters, digits "
            "and '-'. Write pvc://CLAIM/PATH."
        )
    parts = [part for part in path.split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise ConfigError(f"{setting} is {value}. Write the path within the claim without '.' and '..'.")
    return Place(location="/".join([names.claim_path(claim), *parts]), claim=claim)


def _check_uri(setting: str, value: str) -> None:
    try:
        Location.parse(value)
    except ConfigError as e:
        raise ConfigError(f"{setting}: {e}") from e


def _check_printable(setting: str, value: str) -> None:
    if not value.isprintable():
        raise ConfigError(
            f"{setting} is {without_credentials(value)!r}, with line breaks or other characters that do not print. "
            "Write it in one line, without them."
        )
