"""A folder that one command at a time works on."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from esmm_dist.errors import ConfigError

_LOCK_NAME = ".lock"


@contextmanager
def locked_folder(path: Path, *, marker: str, what: str, command: str, setting: str) -> Iterator[None]:
    """Hold a folder for the ``with`` block, and make it if it is missing.

    Args:
        path: the folder
        marker: name of a file that each folder of this kind has, unless it is empty
        what: what it holds, in errors: ``a study``
        command: the command that works on it: ``esmm tune``
        setting: the setting that names it

    Raises:
        ConfigError: another process works on it, or it holds something else
    """
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{setting} is {path}, which is a file. Give a folder.")
    found = {each.name for each in path.iterdir()} if path.exists() else set()
    half_written = f".{marker}.writing"  # of a process that was killed as it wrote the first one
    if found - {_LOCK_NAME, half_written} and marker not in found:
        raise ConfigError(f"{path} holds something else than {what} ({min(found)}). Give another folder as {setting}.")
    path.mkdir(parents=True, exist_ok=True)
    with (path / _LOCK_NAME).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise ConfigError(
                f"Another {command} works on {path}. Wait for it, or give another folder as {setting}."
            ) from e
        yield
