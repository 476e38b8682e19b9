r"""Text of others made safe to show: what moves a cursor, begins a line or hides what follows is written as an escape.

A run's name, an error of another process or a line of a pod's log may hold anything: line ends that forge a line of our
own log, a terminal's escape sequences, marks that turn the direction of a text. ``\n`` and ``\x1b`` are shown as such.
"""


def one_line(text: str) -> str:
    """Return text in one line, every character that does not print written as its escape."""
    return text if text.isprintable() else _escaped(text, "")


def lines_of(text: str) -> str:
    """Return text whose line ends and tabs stay; all else that does not print is written as its escape."""
    return text if text.isprintable() else _escaped(text, "\n\t")


def _escaped(text: str, kept: str) -> str:
    return "".join(
        each if each.isprintable() or each in kept else each.encode("unicode_escape").decode("ascii") for each in text
    )
