"""The short JSON of a request: the user once, the candidates many; or a list of such objects.

::

    {"user_id": "u17", "tags": ["a", "b"], "tags_weights": [1, 0.5], "hour_shown": "2024-01-31T18:30:00",
     "candidates": [{"item_id": "i1", "price": 9.9}, {"item_id": "i2"}]}

A field of the impressions beside "candidates" holds for each candidate that has none of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import numpy as np

from esmm_dist.arrays import I64
from esmm_dist.serving.requests.asked_columns import AskedColumn, AskedColumns, Place, weights_in
from esmm_dist.serving.requests.bad_request import BadRequestError, shown
from esmm_dist.serving.requests.input_names import CANDIDATES, InputNames, Spelling

_ABSENT: Any = object()
_LISTS = {list, type(None)}

Json = dict[Any, Any]


def read_short(body: Any, names: InputNames) -> AskedColumns:
    """Return the columns of a request.

    Args:
        body: what JSON says
        names: names of the schema's inputs

    Raises:
        BadRequestError: the request has another form, or an unknown name
    """
    several = type(body) is list
    users = body if several else [body]
    return _ShortRequest(users, names, several=several).read()


class _ShortRequest:
    def __init__(self, users: list[Any], names: InputNames, *, several: bool) -> None:
        self._names, self._several = names, several
        for number, user in enumerate(users):
            if type(user) is not dict:
                where = f"The request's item {number}" if several else "The request"
                raise BadRequestError(
                    f'{where} is {shown(user)}. Write an object such as {{"user_id": "u1", "candidates": [...]}}, or '
                    "a list of such objects."
                )
        self._users: list[Json] = users
        lists = [self._candidates(number) for number in range(len(users))]
        self._all: list[Json] = lists[0] if len(lists) == 1 else [*chain.from_iterable(lists)]
        self._counts = np.array([len(each) for each in lists], np.int64)

    def read(self) -> AskedColumns:
        """Return the columns."""
        user_keys = set[str]().union(*self._users) - {CANDIDATES}
        own_keys = set[str]().union(*self._all)
        beside = self._names.spellings(user_keys, "a user" if self._several else "The request")
        own = self._names.spellings(own_keys, "a candidate")
        columns = {}
        for name in {**beside, **own}:
            if self._names.of_user[name]:
                if name in own:
                    raise BadRequestError(self._of_user(own[name].value or own[name].weights or name))
                rows = _Rows(self._users, beside[name], self._user_place)
            else:
                rows = self._with_defaults(own.get(name), beside.get(name))
            columns[name] = self._column(name, rows)
        return AskedColumns(columns=columns, candidates_of=self._counts, several_users=self._several)

    def _other_form(self, number: int) -> str:
        """Return where a request of TensorFlow Serving's form goes; empty if it is none."""
        if not {"inputs", "instances"} & self._users[number].keys():
            return ""
        return " A request with inputs or instances goes to /v1/models/NAME:predict."

    def _candidates(self, number: int) -> list[Json]:
        candidates = self._users[number].get(CANDIDATES, _ABSENT)
        if type(candidates) is not list:
            what = "no" if candidates is _ABSENT else f"{shown(candidates)} as its"
            where = f"The request's item {number}" if self._several else "The request"
            raise BadRequestError(
                f'{where} has {what} "{CANDIDATES}". Write a list with an object for each impression to score, such as '
                f'[{{"item_id": "i1"}}].{self._other_form(number)}'
            )
        if not set(map(type, candidates)) <= {dict}:
            at = next(at for at, each in enumerate(candidates) if type(each) is not dict)
            raise BadRequestError(
                f"{self._prefix(number)}{CANDIDATES}[{at}] is {shown(candidates[at])}. Write an object with the fields "
                'of the impression, such as {"item_id": "i1"}.'
            )
        return candidates

    def _of_user(self, key: str) -> str:
        at = next(at for at, each in enumerate(self._all) if key in each)
        return (
            f'{self._own_place(at)} has "{key}", which is a field of the user: the same for all candidates. Write it '
            f'beside "{CANDIDATES}".'
        )

    def _with_defaults(self, own: Spelling | None, beside: Spelling | None) -> "_Rows":
        """Return where a column of the impressions stands for each candidate.

        Weights belong to the values beside them: a candidate with values of its own takes no weights from elsewhere.
        """
        if beside is None:
            assert own is not None  # one of them is there
            return _Rows(self._all, own, self._own_place)
        of_user = [*chain.from_iterable(map(repeat, range(len(self._users)), self._counts.tolist()))]
        if own is None:
            return _Rows([self._users[user] for user in of_user], beside, lambda at: self._user_place(of_user[at]))
        has_own = [own.value in each or own.weights in each for each in self._all]
        rows = []
        for candidate, its_own, user in zip(self._all, has_own, of_user, strict=True):
            found, keys = (candidate, own) if its_own else (self._users[user], beside)
            rows.append({"value": found.get(keys.value), "weights": found.get(keys.weights)})
        return _Rows(
            rows,
            Spelling(value="value", weights="weights"),
            lambda at: self._own_place(at) if has_own[at] else self._user_place(of_user[at]),
        )

    def _column(self, name: str, rows: "_Rows") -> AskedColumn:
        keys, inputs = rows.keys, self._names.columns[name]
        values = rows.values(keys.value)
        weights = rows.values(keys.weights) if name in self._names.weighted else None

        def of_values(at: int) -> str:
            return rows.place_of(at, inputs.value)

        def of_weights(at: int) -> str:
            return rows.place_of(at, inputs.weights or name)

        if name not in self._names.multi_hot:
            read = None
            if weights is not None:
                pairs = zip(values, weights, strict=True)
                read = weights_in([1.0 if v is None and w is None else w for v, w in pairs], of_weights)
            return AskedColumn(values=values, place=of_values, weights=read)
        lengths = _lengths(values, of_values)
        flat = values[0] or [] if len(values) == 1 else [*chain.from_iterable(filter(None, values))]
        read = None
        if weights is not None:
            own = _lengths(weights, of_weights)
            if (own != lengths).any():
                at = int(np.flatnonzero(own != lengths)[0])
                raise BadRequestError(
                    f"{of_values(at)} has {lengths[at]} values, but {of_weights(at)} has {own[at]}. Write a weight for "
                    "each value."
                )
            read = weights_in([*chain.from_iterable(filter(None, weights))], _in_lists(lengths, of_weights))
        return AskedColumn(values=flat, place=_in_lists(lengths, of_values), lengths=lengths, weights=read)

    def _prefix(self, number: int) -> str:
        return f"[{number}]." if self._several else ""

    def _user_of(self, at: int) -> int:
        return int(np.searchsorted(np.cumsum(self._counts), at, side="right"))

    def _user_place(self, number: int) -> str:
        return f"[{number}]" if self._several else ""

    def _own_place(self, at: int) -> str:
        number = self._user_of(at)
        return f"{self._prefix(number)}{CANDIDATES}[{at - int(self._counts[:number].sum())}]"


@dataclass(frozen=True)
class _Rows:
    """The objects that hold one column, a row each."""

    objects: Sequence[Json]
    keys: Spelling
    place: Place

    def values(self, key: str | None) -> list[Any]:
        """Return the value of each row, None where it has none."""
        if key is None:
            return [None] * len(self.objects)
        try:
            return [*map(itemgetter(key), self.objects)]  # twice as fast, and most keys stand in all
        except KeyError:
            return [row.get(key) for row in self.objects]

    def place_of(self, at: int, written: str) -> str:
        """Return where a row's value stands, by the name that it is written with."""
        where = self.place(at)
        return f"{where}.{written}" if where else written


def _in_lists(lengths: I64, place: Place) -> Place:
    """Return where each value of all lists stands, by the places of the lists."""

    def place_in_list(at: int) -> str:
        ends = np.cumsum(lengths)
        row = int(np.searchsorted(ends, at, side="right"))
        return f"{place(row)}[{at - int(ends[row] - lengths[row])}]"

    return place_in_list


def _lengths(values: Sequence[Any], place: Place) -> I64:
    """Return the lengths of lists, int64 [rows]; 0 for null.

    Raises:
        BadRequestError: one is no list
    """
    if not set(map(type, values)) <= _LISTS:
        at = next(at for at, each in enumerate(values) if type(each) not in _LISTS)
        raise BadRequestError(
            f"{place(at)} is {shown(values[at])}, but it has many values. Write a list, such as [1.5] or "
            '["a", "b"], or null.'
        )
    return np.array([len(each) if each else 0 for each in values], np.int64)
