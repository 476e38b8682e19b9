"""Ways in which files are damaged, for tests."""

from pathlib import Path


def flip_bit(path: Path, place: float = 0.5, *, bit: int = 4) -> None:
    """Flip one bit of a file, at a share of its length in [0, 1)."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1 << bit
    path.write_bytes(data)


def truncate(path: Path) -> None:
    """Take the last byte away."""
    path.write_bytes(path.read_bytes()[:-1])


def remove(path: Path) -> None:
    """Take the file away."""
    path.unlink()
