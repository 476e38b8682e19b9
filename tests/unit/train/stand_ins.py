"""Stands in for a compiled model: counts the steps that are undone."""

from typing import Any


class StandInModel:
    """A model without weights, whose step can be undone."""

    def __init__(self) -> None:
        self.step = self
        self.variables: list[Any] = []
        self.undone = 0

    def undo(self) -> None:
        self.undone += 1
