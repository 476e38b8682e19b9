"""What is wrong with a request, in words for whoever sent it."""

import json

_LONGEST_SHOWN = 60


class BadRequestError(ValueError):
    """A request cannot be answered as it is; the text names the place in it, and says what to write."""


def shown(value: object) -> str:
    """Return a value as JSON writes it, cut to what a sentence can hold."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    except (ValueError, RecursionError):  # as deep as a request may be, or deeper
        text = "a value of many levels"
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
