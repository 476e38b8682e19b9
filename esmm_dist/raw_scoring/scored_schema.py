"""The part of a schema that rows without labels are read by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from esmm_dist.errors import SchemaError
from esmm_dist.schema.differences import record_differences
from esmm_dist.schema.edges import with_edges_of
from esmm_dist.schema.fields import Schema
from preprocess.read.flat.column_types import without_views
from preprocess.read.flat.header import check_columns, check_types, columns_scored


def scored_schema(model: Schema, own: Schema | None = None) -> Schema:
    """Return the schema that rows are read by: fields, their edges and separators, and the column of the sample id.

    Columns that only a training needs are left out: sample weights, kept texts, and what cuts a log into splits.

    Args:
        model: schema of the model
        own: another schema of the same fields, such as one with other separators; None: the model's

    Raises:
        SchemaError: The fields or labels are not the model's, or it is no schema of a flat log.
    """
    schema = _rows_of(model if own is None else with_edges_of(own, model))
    differences = record_differences(schema, _rows_of(model), before_is="the model has")
    if differences:
        raise SchemaError(
            f"Schema '{schema.name}' is not that of the model ('{model.name}'): {'; '.join(differences)}. Leave it out "
            "to use the model's own, or give the fields and labels that the model has."
        )
    return schema


def _rows_of(schema: Schema) -> Schema:
    """Return a schema with what its rows are read by alone; of an event log these are its impressions."""
    source = schema.flat_source
    if source is None:
        raise SchemaError(
            f"Schema '{schema.name}' has the Ali-CCP form, whose impressions stand in two files that are joined. A "
            "single table cannot hold them: score the folder of both files, with esmm predict --raw."
        )
    return replace(schema, source=replace(source, weight=None, keep=(), split=None))


@dataclass(frozen=True, kw_only=True)
class ReadColumns:
    """The columns of a log that scoring reads."""

    schema: Schema
    """From ``scored_schema``."""
    keep: Sequence[str] = ()
    """Columns that are written beside the scores."""
    sample_id: str | None = None
    """Column that names the rows; None: they are numbered."""

    @cached_property
    def what(self) -> dict[str, str]:
        """The columns, and what each is read for."""
        named = {} if self.sample_id is None else {self.sample_id: "source.sample_id"}
        return {**dict.fromkeys(self.keep, "keep"), **named, **columns_scored(self.schema)}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns."""
        return tuple(self.what)

    def check(self, where: Path | str, types: pa.Schema) -> None:
        """Check that a table has the columns, in types that can be read.

        Args:
            where: the file, or words that stand for a table in memory
            types: the table's columns

        Raises:
            SchemaError: A column is missing, is there twice, or has another type.
        """
        check_columns(where, types.names, self.what)
        check_types(where, types, self.schema, columns_scored(self.schema))


def readable_table(table: pa.Table) -> pa.Table:
    """Return a table without views of texts and bytes, which many of Arrow's functions lack."""
    return table.cast(pa.schema([each.with_type(without_views(each.type)) for each in table.schema]))
