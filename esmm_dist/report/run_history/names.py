"""Names of runs, tasks and tables as pictures have room for them."""

import re

from esmm_dist.escaped import one_line

_MOST = 32


def shown(name: str, most: int = _MOST) -> str:
    """Return a name in one line, cut in its middle where it is long, so that both its ends are seen.

    A dollar sign would begin a formula in a picture; it is shown as it is.
    """
    text = one_line(name)
    if len(text) > most:
        half = (most - 1) // 2
        text = f"{text[: most - 1 - half]}…{text[-half:]}"
    return text


def in_picture(name: str, most: int = _MOST) -> str:
    """Return the same for matplotlib, which would read a formula between dollar signs."""
    return re.sub(r"([$])", r"\\\1", shown(name, most))
