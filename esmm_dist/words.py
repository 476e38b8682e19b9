"""Values as words of a sentence."""

from collections.abc import Iterable
from typing import Any


def in_words(values: Iterable[Any], word: str = "and") -> str:
    """Return values as an enumeration: "a", "a and b", "a, b and c"; "empty" if there are none."""
    texts = [str(value) for value in values]
    return f"{', '.join(texts[:-1])} {word} {texts[-1]}" if texts[1:] else texts[0] if texts else "empty"
