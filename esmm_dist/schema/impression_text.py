r"""The text that a record keeps of an impression: its name, and the columns of the log that the schema keeps.

::

    3f1c-...                              the name alone: the schema keeps no column
    3f1c-...\0["u17","red|new",null]      the name, a zero byte, and the kept columns in their order as JSON
    \0["u17","red|new",null]              the same where numbers name the impressions

JSON writes a zero byte as ``\u0000``, and no name holds one, so the first zero byte ends the name.
"""

import json
from collections.abc import Sequence

END_OF_NAME = b"\0"


def with_kept(name: bytes, values: Sequence[str | None]) -> bytes:
    """Return the text of an impression with its kept columns; None: no value."""
    return name + END_OF_NAME + json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


def name_of(text: bytes) -> bytes:
    """Return the name that a text begins with; empty where numbers name the impressions."""
    return text.partition(END_OF_NAME)[0]


def kept_of(text: bytes) -> list[str | None]:
    """Return the kept columns of a text; nothing if it keeps none.

    Raises:
        ValueError: The text is damaged.
    """
    _, end, values = text.partition(END_OF_NAME)
    found = json.loads(values) if end else []
    if not isinstance(found, list) or not all(value is None or isinstance(value, str) for value in found):
        raise ValueError(f"{text!r} is not the text of an impression")
    return found
