"""Reads requests for one model: values become the ids that ``esmm preprocess`` gives them."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from esmm_dist.arrays import Bools, Ids
from esmm_dist.schema.fields import Schema
from esmm_dist.schema.value_inputs import spoken_names
from esmm_dist.served_model.mapped_table import MappedTable
from esmm_dist.serving.requests.asked_request import AskedRequest, RequestForm
from esmm_dist.serving.requests.batch_of_columns import ColumnBatches, Knows
from esmm_dist.serving.requests.column_request import read_columns
from esmm_dist.serving.requests.found_rows import RowSearch
from esmm_dist.serving.requests.input_names import InputNames
from esmm_dist.serving.requests.packed_request import RecordRequests, read_features, unknown_ids
from esmm_dist.serving.requests.short_request import read_short


class RequestReader:
    """Reads requests of all forms. Thread-safe."""

    def __init__(
        self, schema: Schema, knows: Knows | Mapping[str, MappedTable], *, used: Collection[str] | None = None
    ) -> None:
        """Prepare to read.

        Args:
            schema: schema of the model, with the edges of its numeric fields
            knows: the tables; or for each the function that tells which of ids int64 [N] have a row, bool [N]
            used: names of the fields that the model uses: unknown ids of others are not counted; None: all
        """
        self.schema, self._knows = schema, knows
        self._used = frozenset(field.name for field in schema.fields) if used is None else frozenset(used)
        self._names, self._spoken = InputNames(schema), spoken_names(schema)
        self._columns = ColumnBatches(schema)
        self._records = RecordRequests(schema)

    def with_rows(self, knows: Mapping[str, MappedTable]) -> "RequestReader":
        """Return a reader for other rows of the same schema, which shares the ids of values that are known so far."""
        reader = RequestReader.__new__(RequestReader)
        reader.schema, reader._knows, reader._used = self.schema, knows, self._used
        reader._names, reader._columns, reader._records = self._names, self._columns, self._records
        reader._spoken = self._spoken
        return reader

    def read(self, form: RequestForm, body: Any) -> AskedRequest:
        """See ``requests.read_request``."""
        searches: dict[str, RowSearch] = {}
        knows: dict[str, Callable[[Ids], Bools]] = {}
        for name, table in self._knows.items():
            if isinstance(table, MappedTable):
                knows[name] = searches[name] = RowSearch(table)
            else:
                knows[name] = table
        if form in ("short", "values"):
            asked = (read_short if form == "short" else read_columns)(body, self._names)
            batch, unknown = self._columns.batch(asked, knows)
            several = asked.several_users
        else:
            batch = read_features(body, self.schema) if form == "features" else self._records.batch(body)
            unknown, several = unknown_ids(batch, self.schema, knows), True
        counted = {self._spoken[name]: count for name, count in unknown.items() if name in self._used}
        found = {name: search.found for name, search in searches.items()}
        return AskedRequest(batch=batch, several_users=several, unknown=counted, found=found)
