"""Cut the bytes of a pipe into lines of text."""

LONGEST_LINE_BYTES = 65_536
"""A line is cut here: a process that never ends its line must not fill the memory."""


class LineSplitter:
    """Holds the unfinished end of what one pipe has brought."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that ``data`` finishes, without their ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > LONGEST_LINE_BYTES:
            lines.append(self._rest[:LONGEST_LINE_BYTES])
            self._rest = self._rest[LONGEST_LINE_BYTES:]
        return [_text(line) for line in lines]

    def end(self) -> list[str]:
        """Return the unfinished line, if there is one."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    """Decode a line; of one that was drawn over itself (a bar), keep what a terminal would show.

    Bytes that are no text (of a path) are kept as ``os.fsdecode`` keeps them.
    """
    return line.decode("utf-8", errors="surrogateescape").rstrip("\r").rsplit("\r", 1)[-1]
