"""The schema: which fields a log has, who owns them, and which labels form the chain."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from esmm_dist.errors import SchemaError
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.columns import check_columns
from esmm_dist.schema.sources import AliCcpSource, FlatSource

TABLE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Names of embedding tables, after which files are named."""

_ALICCP = AliCcpSource()

Owner = Literal["user", "item", "context"]
Combiner = Literal["sum", "mean", "sqrtn"]
COMBINER_POWER: dict[Combiner, int] = {"sum": 0, "mean": 1, "sqrtn": 2}
"""The combiner divides by the p-norm of the weights: p here, and 0 for nothing to divide by."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One categorical column of the log."""

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

    table: str = "main"
    """Name of the embedding table that holds this field's rows. Fields of one table share rows for equal ids."""

    ids_of: str | None = None
    """Name of the field of a flat log whose ids this one's values are: the items of a history (``ids_of: item_id``)
    have the feature ids, the counts and the rows of the item. None: the field has ids of its own."""

    def __post_init__(self) -> None:
        if not self.name:
            raise SchemaError("A field has an empty name. Give every field the name that it has in the log.")
        if not self.alias:
            object.__setattr__(self, "alias", self.name)
        if not TABLE_NAME.fullmatch(self.table):
            raise SchemaError(
                f"Field '{self.name}': table is '{self.table}', and files are named after tables. "
                "Use letters, digits, '_' and '-' only."
            )
        if self.max_ids is not None and self.max_ids < 1:
            raise SchemaError(f"Field '{self.name}': max_ids is {self.max_ids}. Set 1 or more, or leave it out.")
        if self.max_ids is not None and not self.multi_hot:
            raise SchemaError(f"Field '{self.name}': max_ids is for multi-hot fields. Set multi_hot: true or drop it.")

    @property
    def id_space(self) -> str:
        """Name of the field whose values have the feature ids: ``ids_of``, or the field itself."""
        return self.ids_of if self.ids_of is not None else self.name


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Fields and labels of one kind of log.

    Two orders matter and are fixed here: ``user_fields`` is the order of the segments of a record's user part, and
    ``impression_fields`` that of each impression's part.
    """

    name: str
    labels: tuple[str, ...]
    """The label chain, each a step deeper: ``(click, conversion)``. A label counts only if all before it are 1."""

    fields: tuple[Field, ...]
    source: AliCcpSource | FlatSource = _ALICCP

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise SchemaError(
                f"Schema '{self.name}': the label chain {list(self.labels)} has {len(self.labels)} labels. "
                "ESMM needs two or more, such as [click, conversion]."
            )
        for kind, names in (("label", self.labels), ("field", [f.name for f in self.fields])):
            twice = sorted({n for n in names if list(names).count(n) > 1})
            if twice:
                raise SchemaError(f"Schema '{self.name}': {kind} '{twice[0]}' is listed twice. Keep one of them.")
        if not self.impression_fields:
            raise SchemaError(
                f"Schema '{self.name}': no field is owned by item or context. "
                "Nothing would tell a user's impressions apart; set the owner of at least one field."
            )
        try:
            _check_id_spaces(self.fields, shares_values=self.flat_source is not None)
            if self.flat_source is not None:
                check_columns(self.flat_source, self.labels, [f.name for f in self.fields])
        except SchemaError as e:
            raise SchemaError(f"Schema '{self.name}': {e}") from e

    @property
    def flat_source(self) -> FlatSource | None:
        """Where the columns of a flat log come from; None: the log has the Ali-CCP form."""
        return self.source if isinstance(self.source, FlatSource) else None

    @property
    def has_text_sample_ids(self) -> bool:
        """Whether impressions are named by texts, which their records hold beside the numbers."""
        return self.flat_source is not None and self.flat_source.sample_id_form == "text"

    @property
    def has_impression_texts(self) -> bool:
        """Whether records hold a text of each impression: its name, or columns of the log, or both."""
        return self.has_text_sample_ids or (self.flat_source is not None and bool(self.flat_source.keep))

    @property
    def has_sample_weights(self) -> bool:
        """Whether each impression has a weight in losses and metrics, which its record holds."""
        return self.flat_source is not None and self.flat_source.weight is not None

    @cached_property
    def user_fields(self) -> tuple[Field, ...]:
        """Fields stored once per user context, in record order."""
        return tuple(f for f in self.fields if f.owner == "user")

    @cached_property
    def impression_fields(self) -> tuple[Field, ...]:
        """Fields stored with every impression (owners item and context), in record order."""
        return tuple(f for f in self.fields if f.owner != "user")

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """Names of the embedding tables in use, sorted."""
        return tuple(sorted({f.table for f in self.fields}))

    def id_space_index(self, field: Field) -> int:
        """Return the index, among all fields, of the field whose ids this one's values are (``Field.id_space``)."""
        return self.fields.index(self.field(field.id_space))

    def field(self, name: str) -> Field:
        """Return the field of this name.

        Raises:
            SchemaError: No field has it.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise SchemaError(f"Schema '{self.name}' has no field '{name}'. Known: {[f.name for f in self.fields]}.")


def _check_id_spaces(fields: Sequence[Field], *, shares_values: bool) -> None:
    """Check that every ``ids_of`` names a field with ids of its own, in the same table.

    Args:
        fields: fields of one schema
        shares_values: whether equal values of two fields can have equal ids, as in a flat log

    Raises:
        SchemaError: One does not.
    """
    by_name = {field.name: field for field in fields}
    for field in fields:
        if field.ids_of is None:
            continue
        where, target = f"field '{field.name}': ids_of is '{field.ids_of}'", by_name.get(field.ids_of)
        if not shares_values:
            raise SchemaError(
                f"{where}, but the Ali-CCP form has its ids in the log: fields of one table share rows for equal ids. "
                "Leave ids_of out."
            )
        if target is None:
            raise SchemaError(
                f"{where}, which is not a field.{nearest_hint(field.ids_of, set(by_name) - {field.name})}"
            )
        if target is field:
            raise SchemaError(f"{where}, the field itself. Name another field, or leave ids_of out.")
        if target.ids_of is not None:
            raise SchemaError(
                f"{where}, which has no ids of its own. Set ids_of: {target.ids_of}, where they are from."
            )
        if target.table != field.table:
            raise SchemaError(
                f"{where}, whose table is '{target.table}', but table is '{field.table}' here: equal ids would have "
                f"two rows. Set table: {target.table}."
            )
