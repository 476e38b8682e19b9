"""Requests for a model, in the short form of ``esmm serve``: user once, candidates many."""

import math
from dataclasses import dataclass
from typing import Any

from esmm_dist.inference.export_assets.known_values import Values
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.value_inputs import named_inputs, time_column

Json = dict[str, Any]

CANDIDATES = "candidates"

_TIMES = ["2024-03-31T00:30:00+00:00", "2024-03-31T03:30:00", "1711845000", "1711845000123", ""]
_TEXTS = ["ø", "日本", " 7", "007", "2.0", "1.5e+16", "True", "never seen before", "ß" * 40]
"""Texts whose bytes, spaces or digits a client of one's own may get wrong"""
_UNKNOWN_ID = 2**53 + 1
"""Whoever reads ids as doubles gets another one"""


@dataclass(frozen=True, kw_only=True)
class ExampleRequest:
    """One request."""

    name: str
    """What it is there for."""
    users: tuple[Json, ...]
    """One or several users with their candidates; a member is left out, or null, where a value is missing."""

    @property
    def short(self) -> Json | list[Json]:
        """The body of ``POST /v1/score``."""
        return self.users[0] if len(self.users) == 1 else list(self.users)


class Examples:
    """Makes requests for a schema."""

    def __init__(self, schema: Schema, known: Values) -> None:
        """Prepare.

        Args:
            schema: schema of the model, with the edges of its numeric fields
            known: some values of each category that the model knows
        """
        self._schema, self._known = schema, known
        self._inputs = named_inputs(schema)
        self._is_flat = schema.flat_source is not None

    def all(self) -> list[ExampleRequest]:
        """Return all requests."""
        one: Json = self._user(0, 3)
        empty: Json = {CANDIDATES: [{}, {}]}
        requests = [
            ExampleRequest(name="values that the model knows, one user with three candidates", users=(one,)),
            ExampleRequest(name="one candidate", users=(self._user(1, 1),)),
            ExampleRequest(name="values that the model has never seen", users=(self._unknown(one),)),
            ExampleRequest(name="nothing but missing values, left out", users=(empty,)),
            ExampleRequest(name="missing values as null, empty text and empty list", users=(self._missing(),)),
            ExampleRequest(name="two users", users=(self._user(2, 2), self._user(3, 1))),
        ]
        edges = self._edges()
        if edges is not None:
            requests.append(ExampleRequest(name="numbers at the edges of buckets, and next to them", users=(edges,)))
        if self._is_flat and self._known:
            requests.append(
                ExampleRequest(name="texts, times and numbers that are easily misread", users=(self._texts(),))
            )
        return requests

    def _user(self, shift: int, candidates: int) -> Json:
        """Return a user with candidates, whose values are known ones; ``shift`` chooses which."""
        found = self._row("user", shift)
        return {**found, CANDIDATES: [self._row("others", shift + place) for place in range(candidates)]}

    def _row(self, owner: str, shift: int) -> Json:
        found: Json = {}
        for field in self._columns(owner):
            found |= self._values(field, shift)
        if owner != "user" and self._of_time is not None:
            found[self._of_time] = _TIMES[shift % 4]
        return found

    def _values(self, field: Field, shift: int) -> Json:
        column, known = self._inputs[field.name], self._known.get(field.name, [])
        if field.numeric is not None:
            edges = field.numeric.edges or (0.0,)
            return {column.value: edges[(len(edges) // 2 + shift) % len(edges)] + 0.5}
        if not known:
            return {}
        if column.lengths is None:
            found: Json = {column.value: known[shift % len(known)]}
            weights: Any = 0.5 + shift
        else:
            values = [known[(shift + place) % len(known)] for place in range(1 + shift % 3)]
            found, weights = {column.value: values}, [0.5 + place for place in range(len(values))]
        return found if column.weights is None else {**found, column.weights: weights}

    def _unknown(self, like: Json) -> Json:
        """Return a user whose categories are unknown, with a candidate of unknown ones and one of known ones."""

        def unknown(owner: str) -> Json:
            found: Json = {}
            for field in self._columns(owner):
                column, value = self._inputs[field.name], _UNKNOWN_ID if not self._is_flat else "never seen before"
                if field.numeric is not None:
                    continue
                found[column.value] = value if column.lengths is None else [value]
                if column.weights is not None:
                    found[column.weights] = 1.5 if column.lengths is None else [1.5]
            return found

        return {**unknown("user"), CANDIDATES: [unknown("others"), like[CANDIDATES][0]]}

    def _missing(self) -> Json:
        def missing(owner: str) -> Json:
            found: Json = {}
            for place, field in enumerate(self._columns(owner)):
                column = self._inputs[field.name]
                of_one = "" if self._is_flat and field.numeric is None and place % 2 else None
                found[column.value] = of_one if column.lengths is None else []
                if column.weights is not None and column.lengths is not None:
                    found[column.weights] = []
            return found

        return {**missing("user"), CANDIDATES: [missing("others"), self._row("others", 0)]}

    def _edges(self) -> Json | None:
        numeric = [field for field in self._schema.fields if field.numeric is not None and field.numeric.edges]
        if not numeric:
            return None

        def numbers(field: Field, place: int) -> float | None:
            assert field.numeric is not None  # only those are asked for
            edges = field.numeric.edges or ()
            first, last = edges[0], edges[-1]
            of_place = [
                first,
                math.nextafter(first, -math.inf),
                last,
                math.nextafter(last, math.inf),
                -0.0,
                -1e300,
                1e300,
            ]
            return of_place[place]

        user = self._row("user", 0)
        user |= {self._inputs[f.name].value: numbers(f, 0) for f in numeric if f.owner == "user"}
        candidates = []
        for place in range(7):
            own = {self._inputs[f.name].value: numbers(f, place) for f in numeric if f.owner != "user"}
            candidates.append({**self._row("others", place), **own})
        return {**user, CANDIDATES: candidates}

    def _texts(self) -> Json:
        user, candidates = self._row("user", 1), []
        for field in self._columns("user"):
            column = self._inputs[field.name]
            if field.numeric is None and column.lengths is not None:
                user[column.value] = _TEXTS
                if column.weights is not None:
                    user[column.weights] = [1.0 + place / 4 for place in range(len(_TEXTS))]
        for place, text in enumerate(_TEXTS):
            own = self._row("others", place)
            for field in self._columns("others"):
                if field.numeric is None and self._inputs[field.name].lengths is None:
                    own[self._inputs[field.name].value] = text
            if self._of_time is not None:
                own[self._of_time] = _TIMES[place % len(_TIMES)]
            candidates.append(own)
        return {**user, CANDIDATES: candidates}

    def _columns(self, owner: str) -> list[Field]:
        fields = self._schema.user_fields if owner == "user" else self._schema.impression_fields
        return [field for field in fields if field.is_column]

    @property
    def _of_time(self) -> str | None:
        if not any(field.of_time for field in self._schema.fields):
            return None
        return self._inputs[time_column(self._schema)].value
