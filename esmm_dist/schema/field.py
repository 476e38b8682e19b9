"""One field of a schema: a column of the log, the cross of several, or the hour or weekday of its time."""

import re
from dataclasses import dataclass
from typing import Literal

from esmm_dist.errors import SchemaError
from esmm_dist.schema.numeric import Numeric

DEFAULT_TABLE = "main"

TABLE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Names of embedding tables, after which files are named."""

Owner = Literal["user", "item", "context"]
Combiner = Literal["sum", "mean", "sqrtn"]
COMBINER_POWER: dict[Combiner, int] = {"sum": 0, "mean": 1, "sqrtn": 2}
"""The combiner divides by the p-norm of the weights: p here, and 0 for nothing to divide by."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field: a column of the log, the cross of several, or the hour or weekday of the log's time.

    Whatever it is, what a model sees of it is ids.
    """

    name: str
    """Name in the raw log: the field code of the Ali-CCP form, or the column of a flat log."""

    alias: str = ""
    """Readable name, used in reports. Empty: the name itself."""

    owner: Owner
    """``user``: stored once per user context; ``item`` or ``context``: stored with every impression."""

    multi_hot: bool = False
    """True: 0..n ids an impression, pooled by the combiner. False: at most one id; more is a rejected line."""

    weighted: bool = False
    """True: each id's value in the log is its weight in the pooled vector. False: every weight is 1."""

    combiner: Combiner = "sum"
    """How a multi-hot field's rows become one vector: with weights w and rows e, ``sum`` = Σ w·e,
    ``mean`` = Σ w·e / Σ w, ``sqrtn`` = Σ w·e / sqrt(Σ w²)."""

    max_ids: int | None = None
    """Keep at most this many ids of a multi-hot field, in the log's order, when training reads it. None: all."""

    numeric: Numeric | None = None
    """How the numbers of a column of a flat log become ids: ``{buckets: quantile 32}``. None: each value is a category.
    """

    cross: tuple[str, ...] = ()
    """Names of the one-hot fields of a flat log whose values together are this field's value: ``[gender, category]``.
    Empty: the field is a column."""

    of_time: Literal["hour", "weekday"] | None = None
    """What this field is of the time of an impression (``source.time`` of a flat log), in ``source.time_zone``: its
    ``hour``, 0 to 23, or its ``weekday``, 1 (Monday) to 7. Its owner is the context. None: the field is a column, or a
    cross."""

    missing: Literal["none", "id"] | None = None
    """What a missing value (null, NaN, empty text, empty list) of a flat log is: ``none``, no id, which adds nothing;
    or ``id``, a value of its own, which learns what its absence means. In a cross: a part that is missing leaves no id
    (``none``), or counts as a value. None: ``id`` for numbers, crosses and times, ``none`` for categories."""

    embedding_dim: int | None = None
    """D, columns of this field's rows. All fields of a table have the same. None: the setting of the training."""

    table: str = ""
    """Name of the embedding table that holds this field's rows. Fields of one table share rows for equal ids. Empty:
    ``main``, or with an ``embedding_dim`` of 8 ``main-8``."""

    ids_of: str | None = None
    """Name of the field of a flat log whose ids this one's values are: the items of a history (``ids_of: item_id``)
    have the feature ids, the counts and the rows of the item. None: the field has ids of its own."""

    attended_by: str | None = None
    """For a user's multi-hot field: name of the field of the impression that attends to it, as the item's category does
    to the categories that the user saw (network ``din``). Other networks do not look at it. None: no field does."""

    def __post_init__(self) -> None:
        if not self.name:
            raise SchemaError("A field has an empty name. Give every field the name that it has in the log.")
        if not self.alias:
            object.__setattr__(self, "alias", self.name)
        if self.embedding_dim is not None and self.embedding_dim < 1:
            raise SchemaError(f"Field '{self.name}': embedding_dim is {self.embedding_dim}. Set 1 or more.")
        if not self.table:
            table = DEFAULT_TABLE if self.embedding_dim is None else f"{DEFAULT_TABLE}-{self.embedding_dim}"
            object.__setattr__(self, "table", table)
        if self.missing is None:
            object.__setattr__(self, "missing", "none" if self.is_category else "id")
        if not TABLE_NAME.fullmatch(self.table):
            raise SchemaError(
                f"Field '{self.name}': table is '{self.table}', and files are named after tables. "
                "Use letters, digits, '_' and '-' only."
            )
        if self.max_ids is not None and self.max_ids < 1:
            raise SchemaError(f"Field '{self.name}': max_ids is {self.max_ids}. Set 1 or more, or leave it out.")
        if self.max_ids is not None and not self.multi_hot:
            raise SchemaError(f"Field '{self.name}': max_ids is for multi-hot fields. Set multi_hot: true or drop it.")
        _check_kind(self)

    @property
    def is_category(self) -> bool:
        """Whether each value of a column is an id of its own."""
        return self.numeric is None and not self.cross and self.of_time is None

    @property
    def is_column(self) -> bool:
        """Whether the field is the column of its name."""
        return not self.cross and self.of_time is None

    @property
    def id_space(self) -> str:
        """Name of the field whose values have the feature ids: ``ids_of``, or the field itself."""
        return self.ids_of if self.ids_of is not None else self.name


def _check_kind(field: Field) -> None:
    """Check that a numeric field or a cross has no setting of categories.

    Raises:
        SchemaError: It has.
    """
    if field.is_category:
        return
    where = f"Field '{field.name}'"
    if field.numeric is not None and field.cross:
        raise SchemaError(f"{where}: it has numeric and cross. Make two fields: the number, and the cross with it.")
    if field.of_time is not None:
        _check_of_time(field, where)
    kind = "numeric: a number has one bucket" if field.numeric is not None else "a cross: it has one value"
    kind = kind if field.of_time is None else f"the {field.of_time} of the time: it has one value"
    for name in ("multi_hot", "weighted", "ids_of"):
        if getattr(field, name):
            raise SchemaError(f"{where} is {kind}. Leave out {name}.")
    if field.cross:
        twice = [part for part in field.cross if field.cross.count(part) > 1]
        if twice:
            raise SchemaError(f"{where}: cross names '{twice[0]}' twice. Name it once.")
        if len(field.cross) < 2:
            raise SchemaError(f"{where}: cross names one field, '{field.cross[0]}'. Name two or more, or leave it out.")


def _check_of_time(field: Field, where: str) -> None:
    """Check that the hour or weekday of a time is nothing else, and belongs to the impression.

    Raises:
        SchemaError: It is, or does not.
    """
    for name in ("numeric", "cross"):
        if getattr(field, name):
            raise SchemaError(f"{where}: it has of_time and {name}. Make two fields.")
    if field.owner != "context":
        raise SchemaError(
            f"{where}: its owner is {field.owner}, but the {field.of_time} of an impression changes with each. Set "
            "owner: context."
        )
