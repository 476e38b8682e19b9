"""Texts of users in pictures and tables: as they are, in one line, and not longer than fits."""

from esmm_dist.escaped import one_line

_ELLIPSIS = "…"


def cut(text: str, most: int = 32) -> str:
    """Return text in one line, what does not print escaped, and its end cut where it is longer than ``most``."""
    shown = one_line(text)
    return shown if len(shown) <= most else shown[: most - 1].rstrip() + _ELLIPSIS


def cut_middle(text: str, most: int = 32) -> str:
    """Return text as ``cut`` does, but cut in its middle: both ends of a path tell it from others."""
    shown = one_line(text)
    if len(shown) <= most:
        return shown
    head = (most - 1) // 2
    return shown[:head] + _ELLIPSIS + shown[len(shown) - (most - 1 - head) :]


def cut_apart(texts: list[str], most: int = 32) -> list[str]:
    """Return texts cut; those that would look the same are given their place: ``long nam… (2)``."""
    shown = [cut(text, most) for text in texts]
    found: dict[str, int] = {}
    apart = []
    for each in shown:
        found[each] = found.get(each, 0) + 1
        apart.append(each if found[each] == 1 else f"{each} ({found[each]})")
    return apart
