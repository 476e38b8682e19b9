"""Reads requests for one model: values become the ids that ``esmm preprocess`` gives them."""

from collections.abc import Callable, Mapping
from typing import Any

from esmm_dist.arrays import Bools, Ids
from esmm_dist.schema.fields import Schema
from esmm_dist.serving.requests import AskedRequest, RequestForm


class RequestReader:
    """Reads requests of all forms. Thread-safe."""

    def __init__(self, schema: Schema, knows: Mapping[str, Callable[[Ids], Bools]]) -> None:
        """Prepare to read.

        Args:
            schema: schema of the model, with the edges of its numeric fields
            knows: for each table the function that tells which of ids int64 [N] have a row, bool [N]
        """
        self.schema, self._knows = schema, knows

    def read(self, form: RequestForm, body: Any) -> AskedRequest:
        """See ``requests.read_request``."""
        raise NotImplementedError
