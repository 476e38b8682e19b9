"""Read the secret that calls carry. It needs no Arrow, unlike ``security.py``: light processes read it too."""

from pathlib import Path

from esmm_dist.errors import ConfigError

_FEWEST_TOKEN_CHARACTERS = 16


def read_token(path: Path | None) -> str | None:
    """Read a token file: its text without the white space around it.

    Raises:
        ConfigError: It cannot be read, or holds less than 16 characters or other than printable ASCII.
    """
    if path is None:
        return None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"token_file {path} cannot be read: {getattr(e, 'strerror', None) or e}.") from e
    if len(token) < _FEWEST_TOKEN_CHARACTERS or not (token.isascii() and token.isprintable()):
        raise ConfigError(
            f"token_file {path} holds {len(token)} characters; a token has at least {_FEWEST_TOKEN_CHARACTERS}, of "
            "printable ASCII. Make one with: openssl rand -hex 32"
        )
    return token
