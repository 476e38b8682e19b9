"""Tell whoever started this process where it listens."""

import os
from pathlib import Path


def publish_address(path: Path, address: str) -> None:
    """Write HOST:PORT into a file, under another name first: whoever sees the file reads it whole."""
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text(address + "\n", encoding="utf-8")
    os.replace(temporary, path)
