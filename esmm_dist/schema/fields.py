"""The schema: which fields a log has, who owns them, and which labels form the chain."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from esmm_dist.errors import SchemaError

_TABLE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

Owner = Literal["user", "item", "context"]
Combiner = Literal["sum", "mean", "sqrtn"]


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
    """Name of the embedding table that holds this field's rows. Fields of one table share an id space."""

    def __post_init__(self) -> None:
        if not self.name:
            raise SchemaError("A field has an empty name. Give every field the name that it has in the log.")
        if not self.alias:
            object.__setattr__(self, "alias", self.name)
        if not _TABLE_NAME.fullmatch(self.table):
            raise SchemaError(
                f"Field '{self.name}': table is '{self.table}', and files are named after tables. "
                "Use letters, digits, '_' and '-' only."
            )
        if self.max_ids is not None and self.max_ids < 1:
            raise SchemaError(f"Field '{self.name}': max_ids is {self.max_ids}. Set 1 or more, or leave it out.")
        if self.max_ids is not None and not self.multi_hot:
            raise SchemaError(f"Field '{self.name}': max_ids is for multi-hot fields. Set multi_hot: true or drop it.")


@dataclass(frozen=True, kw_only=True)
class AliCcpSource:
    """The raw Ali-CCP form: ``sample_skeleton_{split}.csv`` and ``common_features_{split}.csv``."""

    form: Literal["aliccp"] = "aliccp"


@dataclass(frozen=True, kw_only=True)
class FlatSource:
    """A user's own log: CSV or Parquet, one row an impression, one column a field."""

    form: Literal["flat"]

    files: dict[str, str]
    """For each split (``train``, ``test``) the name or glob of its files, relative to the raw folder."""

    labels: dict[str, str]
    """For each label of the chain, the column (0/1 or true/false) that holds it."""

    sample_id: str | None = None
    """Integer column that names the impression. None: impressions are numbered in file order from 1."""

    list_separator: str = "|"
    """Between the ids of a multi-hot text column. Parquet list columns need none."""

    weight_separator: str = ":"
    """Between an id and its weight in a weighted text column: ``id:weight``."""


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
    source: AliCcpSource | FlatSource = AliCcpSource()

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
        if isinstance(self.source, FlatSource):
            missing = [label for label in self.labels if label not in self.source.labels]
            if missing:
                raise SchemaError(
                    f"Schema '{self.name}': source.labels names no column for label '{missing[0]}'. Add it."
                )

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

    def field(self, name: str) -> Field:
        """Return the field of this name.

        Raises:
            SchemaError: No field has it.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise SchemaError(f"Schema '{self.name}' has no field '{name}'. Known: {[f.name for f in self.fields]}.")
