"""Results that a reader sees as the report that the command prints."""

from abc import abstractmethod


class Reported:
    """A result whose ``repr`` is its report; its dataclass is made with ``repr=False``."""

    @abstractmethod
    def lines(self) -> list[str]:
        """Return the report, a line each."""

    def __repr__(self) -> str:
        return "\n".join(self.lines())
