"""Files with a token or a key, as those are written who look after them."""

from pathlib import Path


def write_secret(path: Path, content: str | bytes) -> Path:
    """Write a file that its owner alone can read; return its path."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
