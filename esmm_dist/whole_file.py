"""Small files that one process writes and another reads at any moment."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text file under another name first: whoever sees it reads it whole. A power failure may lose it."""
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
