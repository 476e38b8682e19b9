"""The names that a request may use for the columns of a schema."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.value_inputs import ColumnInputs, named_inputs
from esmm_dist.serving.requests.bad_request import BadRequestError, shown

CANDIDATES = "candidates"

Role = Literal["value", "lengths", "weights"]


@dataclass(frozen=True, kw_only=True)
class InputName:
    """What a name stands for."""

    column: str
    """Name of the column: of a field, or of the time"""
    role: Role
    of_user: bool


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """Under which keys a request has the parts of one column; None: it has none."""

    value: str | None
    weights: str | None


class InputNames:
    """The inputs of one schema."""

    def __init__(self, schema: Schema) -> None:
        """Name them: as an exported model does, and by the names and aliases of fields where that is one column's.

        Args:
            schema: schema of the model
        """
        self.columns: dict[str, ColumnInputs] = named_inputs(schema)
        self.multi_hot = {field.name for field in schema.fields if field.multi_hot}
        self.weighted = {field.name for field in schema.fields if field.weighted}
        owners = {field.name: field.owner == "user" for field in schema.fields}
        self.of_user = {name: owners.get(name, False) for name in self.columns}
        self.exact: dict[str, InputName] = {}
        for name, inputs in self.columns.items():
            for role, key in (("value", inputs.value), ("lengths", inputs.lengths), ("weights", inputs.weights)):
                if key is not None:
                    self.exact[key] = self._input(name, role)  # type: ignore[arg-type]
        aliases = {field.name: field.alias for field in schema.fields}
        taken = Counter(aliases.get(name, name) for name in self.columns)
        self.short: dict[str, InputName] = {
            key: each for key, each in self.exact.items() if each.role != "lengths" and key != CANDIDATES
        }
        for name in [*self.columns, *(name for name in self.columns if taken[aliases.get(name, name)] == 1)]:
            for spelt in (name, aliases.get(name, name)):
                if spelt != CANDIDATES and (spelt == name or taken[spelt] == 1):
                    self.short.setdefault(spelt, self._input(name, "value"))
                    if name in self.weighted:
                        self.short.setdefault(f"{spelt}_weights", self._input(name, "weights"))

    def _input(self, column: str, role: Role) -> InputName:
        return InputName(column=column, role=role, of_user=self.of_user[column])

    def spellings(self, keys: Collection[str], place: str) -> dict[str, Spelling]:
        """Return under which keys some objects have the columns.

        Args:
            keys: all keys of the objects
            place: where they stand in the request

        Raises:
            BadRequestError: a key is unknown, or two are the same column's
        """
        found: dict[tuple[str, Role], str] = {}
        for key in keys:
            known = self.short.get(key)
            if known is None:
                raise BadRequestError(self._unknown(key, place))
            other = found.setdefault((known.column, known.role), key)
            if other != key:
                first, second = sorted((other, key))
                raise BadRequestError(f"{place} has '{first}' and '{second}', which are the same. Write one of them.")
        columns = dict.fromkeys(column for column, _ in found)
        return {
            column: Spelling(value=found.get((column, "value")), weights=found.get((column, "weights")))
            for column in columns
        }

    def _unknown(self, key: str, place: str) -> str:
        names = {key for key, each in self.exact.items() if each.role != "lengths"}
        return f"{place} has {shown(key)}, which is no field of the model.{nearest_hint(key, {*names, CANDIDATES})}"
