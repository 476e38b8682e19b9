"""How far a process is with its work, by the progress that it reports."""


class WorkShare:
    """Follows the amount of work of one unit, and holds the messages of the process.

    Args:
        unit: unit of the tasks that count, such as ``steps``; those of others, such as an evaluation's, do not
    """

    def __init__(self, unit: str = "steps") -> None:
        self.total = 0.0
        """Amount of the whole work; 0 until it is known."""
        self._unit = unit
        self._done = 0.0
        self._counts = False
        self._messages: list[str] = []

    @property
    def share(self) -> float:
        """Share that is done, 0 .. 1."""
        return min(self._done / self.total, 1.0) if self.total else 0.0

    def take_messages(self) -> list[str]:
        """Return the messages since the last call."""
        taken, self._messages = self._messages, []
        return taken

    def start(self, task: str, total: float | None, unit: str, done: float = 0.0) -> None:
        """Note the amount of a task."""
        self._counts = unit == self._unit
        if self._counts:
            self.total, self._done = total or 0.0, done

    def advance(self, amount: float, note: str = "") -> None:
        """Count work that is done."""
        if self._counts:
            self._done += amount

    def message(self, text: str) -> None:
        """Keep a message."""
        self._messages.append(text)

    def finish(self) -> None:
        """Note the end of a task."""
        self._counts = False
