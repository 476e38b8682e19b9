"""Lines of a pod's log, as the API gives them: with their time in front."""

import re

STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)[.\d]*(Z|[+-]\d\d:\d\d) ")
"""What is in front of a line. Nodes give their own time zone's."""


def without_time(line: str) -> str:
    """Return a line without its time; some virtual nodes give none."""
    return line.partition(" ")[2] if STAMP.match(line) else line
