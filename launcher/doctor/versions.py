"""The versions of the stack, read without importing it."""

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
    """Return name -> version of Python and of what results depend on; "not installed" where it is not."""
    versions = {"python": platform.python_version()}
    return versions | {name: _version(name) for name in STACK}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
