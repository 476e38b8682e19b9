"""Tables of the caller, of pandas, polars or Arrow, as Arrow tables and back; their libraries are the caller's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from esmm_dist.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class GivenTable:
    """A table of the caller."""

    table: "pa.Table"
    as_given: Callable[["pa.Table"], Any]
    """Returns another table of as many rows in the caller's kind; of pandas with the index of the given one."""


def is_table(value: Any) -> bool:
    """Return whether a value is a table of a kind that is known here, or a lazy one, which ``given_table`` refuses."""
    return _kind(value) in ("pandas.DataFrame", "polars.DataFrame", "polars.LazyFrame", *_ARROW)


def given_table(value: Any) -> GivenTable:
    """Return a table of the caller as an Arrow table.

    Args:
        value: R rows: a pandas or polars DataFrame, or a pyarrow Table or RecordBatch

    Raises:
        ConfigError: It is none of these, or a column cannot be an Arrow column.
    """
    import pyarrow as pa

    kind = _kind(value)
    if kind == "pandas.DataFrame":
        try:
            table = pa.Table.from_pandas(value, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as e:
            raise ConfigError(
                f"The table has a column that Arrow cannot hold: {e}. Give all values of a column one type."
            ) from e
        return GivenTable(table=table.replace_schema_metadata(None), as_given=lambda t: _to_pandas(t, value.index))
    if kind == "polars.DataFrame":
        import polars

        return GivenTable(table=value.to_arrow(), as_given=lambda t: polars.from_arrow(t))
    if kind == "pyarrow.Table":
        return GivenTable(table=value, as_given=lambda t: t)
    if kind == "pyarrow.RecordBatch":
        return GivenTable(table=pa.Table.from_batches([value]), as_given=lambda t: t)
    remedy = "Call .collect() on it" if kind == "polars.LazyFrame" else "Give a DataFrame of pandas or polars, or a "
    remedy += "" if kind == "polars.LazyFrame" else "pyarrow Table"
    raise ConfigError(f"The table is a {kind}, which is no table in memory. {remedy}.")


_ARROW = ("pyarrow.Table", "pyarrow.RecordBatch")


def _to_pandas(table: "pa.Table", index: Any) -> Any:
    frame = table.to_pandas()
    frame.index = index
    return frame


def _kind(value: Any) -> str:
    """Return library and class of a value; a subclass (of geopandas, say) is what it inherits from."""
    names = [f"{cls.__module__.partition('.')[0]}.{cls.__name__}" for cls in type(value).__mro__]
    known = [name for name in names if name in ("pandas.DataFrame", "polars.DataFrame", "polars.LazyFrame", *_ARROW)]
    return known[0] if known else names[0].removeprefix("builtins.")
