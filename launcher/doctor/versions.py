"""The versions that ``esmm --version`` prints, read without importing the libraries."""

import platform
from importlib import metadata

STACK = (
    "esmm_dist",
    "tensorflow",
    "tensorflow-recommenders-addons",
    "horovod",
    "keras",
    "tf-keras",
    "numpy",
    "pyarrow",
)


def installed() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on, by name; or "not installed"."""
    versions = {"python": platform.python_version()}
    return versions | {name: installed_version(name) or "not installed" for name in STACK}


def installed_version(name: str) -> str | None:
    """Return the installed version of a distribution; None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
