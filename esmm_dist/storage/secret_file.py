"""Files that hold a secret, a token or a private key: whoever can read one is in.

Such a file is refused unless its owner alone can read it. The group may read one of root's, as PostgreSQL has it for
its keys: that is how administrators give a secret to a service, and Kubernetes a Secret to a pod's user (owner root,
group ``fsGroup``, mode 0440).
"""

import os
import secrets
import stat
from pathlib import Path

from esmm_dist.errors import ConfigError

_FEWEST_TOKEN_CHARACTERS = 16


def read_secret(path: Path, *, setting: str) -> bytes:
    """Read a file that holds a secret.

    Args:
        path: the file, or a pipe
        setting: name of the setting, for messages

    Raises:
        ConfigError: It cannot be read, or others can read or change it, too.
    """
    try:
        with path.open("rb") as file:
            _check_private(os.fstat(file.fileno()), path, setting)
            return file.read()
    except OSError as e:
        raise ConfigError(f"{setting} {path} cannot be read: {e.strerror}.") from e


def read_token(path: Path | None) -> str | None:
    """Read a token file: its text without the white space around it.

    Raises:
        ConfigError: As ``read_secret``, or it holds less than 16 characters or other than printable ASCII.
    """
    if path is None:
        return None
    try:
        token = read_secret(path, setting="token_file").decode().strip()
    except UnicodeDecodeError as e:
        raise ConfigError(f"token_file {path} cannot be read: {e}.") from e
    if len(token) < _FEWEST_TOKEN_CHARACTERS or not (token.isascii() and token.isprintable()):
        raise ConfigError(
            f"token_file {path} holds {len(token)} characters; a token has at least {_FEWEST_TOKEN_CHARACTERS}, of "
            "printable ASCII. Make one with: (umask 077; openssl rand -hex 32 > token)"
        )
    return token


def write_new_token(path: Path) -> None:
    """Write a new random token into a new file that its owner alone can read, whatever the umask.

    Raises:
        OSError: It cannot be written, or is there already.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secrets.token_hex(32) + "\n")


def _check_private(found: os.stat_result, path: Path, setting: str) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o027 or (mode & 0o050 and found.st_uid != 0):
        who = "every user of this machine" if mode & 0o007 else "the users of its group"
        what = "read" if mode & 0o044 else "change"
        raise ConfigError(
            f"{setting} {path} has mode {mode:04o}: {who} can {what} it. Run chmod 600 {path}; in a pod, mount its "
            "Secret with defaultMode: 0400."
        )
