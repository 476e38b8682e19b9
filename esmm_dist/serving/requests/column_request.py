"""A request of columns: a list for each input of the SavedModel's signature ``values``. A missing value is null."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.value_inputs import IMPRESSIONS_PER_GROUP
from esmm_dist.serving.requests.asked_columns import AskedColumn, AskedColumns, Place, listed, weights_in, whole_numbers
from esmm_dist.serving.requests.bad_request import BadRequestError, shown
from esmm_dist.serving.requests.input_names import InputNames


def read_columns(body: Any, names: InputNames) -> AskedColumns:
    """Return the columns of a request.

    Args:
        body: what JSON says
        names: names of the schema's inputs

    Raises:
        BadRequestError: an input is unknown, missing, or has another number of values than it should have
    """
    check_inputs(body, {*names.exact, IMPRESSIONS_PER_GROUP})
    candidates_of = whole_numbers(body[IMPRESSIONS_PER_GROUP], IMPRESSIONS_PER_GROUP)
    columns = {}
    for name, inputs in names.columns.items():
        rows = len(candidates_of) if names.of_user[name] else int(candidates_of.sum())
        values, lengths = listed(body[inputs.value], inputs.value), None
        if inputs.lengths is None:
            _check_number(values, inputs.value, rows)
        else:
            lengths = whole_numbers(body[inputs.lengths], inputs.lengths)
            _check_number(lengths, inputs.lengths, rows)
            if lengths.sum() != len(values):
                raise BadRequestError(
                    f"{inputs.lengths} adds up to {lengths.sum()}, but {inputs.value} has {len(values)} values. Write "
                    "how many of them each row has."
                )
        weights = None
        if inputs.weights is not None:
            given = listed(body[inputs.weights], inputs.weights)
            if len(given) != len(values):
                raise BadRequestError(
                    f"{inputs.weights} has {len(given)} weights, but {inputs.value} has {len(values)} values. Write a "
                    "weight for each value."
                )
            weights = weights_in(given, place_in(inputs.weights))
        columns[name] = AskedColumn(values=values, place=place_in(inputs.value), lengths=lengths, weights=weights)
    return AskedColumns(columns=columns, candidates_of=candidates_of, several_users=True)


def check_inputs(body: Any, names: set[str]) -> None:
    """Check that a request has exactly some inputs.

    Raises:
        BadRequestError: it has others
    """
    if not isinstance(body, Mapping):
        raise BadRequestError(f"The inputs are {shown(body)}. Write an object with a list for each input.")
    for name in body:
        if name not in names:
            raise BadRequestError(f"The inputs have {shown(name)}, which is none.{nearest_hint(str(name), names)}")
    lacking = sorted(names - set(body))
    if lacking:
        raise BadRequestError(
            f"The inputs lack {', '.join(lacking)}. Write a list for each; a missing value in it is null."
        )


def place_in(name: str) -> Place:
    """Return where the values of an input stand."""
    return lambda at: f"{name}[{at}]"


def _check_number(values: Any, name: str, rows: int) -> None:
    if np.shape(values)[:1] != (rows,) and len(values) != rows:
        raise BadRequestError(
            f"{name} has {len(values)} values, but {IMPRESSIONS_PER_GROUP} makes {rows} rows. Write one for each."
        )
