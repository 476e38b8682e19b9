"""CRC-32C of files and manifests."""

import json
from pathlib import Path
from typing import Any

import google_crc32c

_CHUNK_BYTES = 1 << 22


def file_crc32c(path: Path) -> int:
    """Return the CRC-32C of a file's bytes; about 2 GB/s."""
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            checksum = google_crc32c.extend(checksum, chunk)
    return checksum


def mapping_crc32c(mapping: dict[str, Any]) -> int:
    """Return the CRC-32C of a mapping's text: JSON, indented by 1, members in their order."""
    return int(google_crc32c.value(json.dumps(mapping, indent=1).encode()))
