"""The columns that ``esmm predict --keep`` carries from the log to the predictions."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from esmm_dist.arrays import Objects
from esmm_dist.errors import ConfigError
from esmm_dist.input.batch import GroupedBatch
from esmm_dist.near_names import nearest_hint
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.impression_text import kept_of, name_of, with_kept

TextsOf = Callable[[GroupedBatch], Objects | None]

LIST_SEPARATOR = "|"
"""Between the ids of a multi-hot field of the Ali-CCP form."""


class KeptColumns:
    """Finds the kept columns of impressions.

    Those of a flat log are the texts of the log, which ``preprocess`` has put into the records (``source.keep``). In
    the Ali-CCP form the feature ids are all that the log holds of a field, so these are it.
    """

    def __init__(self, schema: Schema, names: tuple[str, ...]) -> None:
        """Check that the columns can be kept.

        Args:
            schema: schema of the data set
            names: columns of a flat log; fields of the Ali-CCP form, by name or alias

        Raises:
            ConfigError: The data set does not have one of them.
        """
        self.names = names
        self._schema = schema
        if schema.flat_source is not None:
            self._places = [_kept_place(name, schema.flat_source.keep) for name in names]
            self._fields: list[Field] = []
        else:
            self._places = list(range(len(names)))
            self._fields = [_field(schema, name) for name in names]

    def texts(self, batch: GroupedBatch) -> Objects | None:
        """Return the texts of a batch's impressions (``impression_text``), bytes [B]; None: nothing names or keeps."""
        if not self._fields:
            return batch.sample_names
        columns = [_ids_of_field(batch, self._schema, field) for field in self._fields]
        texts = np.empty(batch.num_impressions, np.object_)
        texts[:] = [with_kept(b"", values) for values in zip(*columns, strict=True)]
        return texts

    def columns(self, texts: Objects | None) -> list[Objects]:
        """Return the kept columns of impressions, one after the other, str or None [B] each."""
        if not self.names:
            return []
        assert texts is not None
        rows = [kept_of(text) for text in texts]
        found = []
        for place in self._places:
            column = np.empty(len(rows), np.object_)
            column[:] = [row[place] for row in rows]
            found.append(column)
        return found


def names_of(texts: Objects) -> Objects:
    """Return the names of impressions, bytes [B]."""
    names = np.empty(len(texts), np.object_)
    names[:] = [name_of(text) for text in texts]
    return names


def _kept_place(name: str, kept: tuple[str, ...]) -> int:
    if name not in kept:
        there = f" It keeps: {', '.join(kept)}." if kept else ""
        raise ConfigError(
            f"keep names column '{name}', which the records do not hold: of a flat log they hold hashes of the values."
            f"{there} Write keep: [{', '.join([*kept, name])}] into the schema's source, and preprocess the log "
            "into another folder."
        )
    return kept.index(name)


def _field(schema: Schema, name: str) -> Field:
    found = [field for field in schema.fields if name in (field.name, field.alias)]
    if not found:
        known = [each for field in schema.fields for each in (field.name, field.alias)]
        raise ConfigError(f"keep names '{name}', no field of schema '{schema.name}'.{nearest_hint(name, set(known))}")
    return found[0]


def _ids_of_field(batch: GroupedBatch, schema: Schema, field: Field) -> list[str | None]:
    """Return the ids of a field of each impression as text, several with ``LIST_SEPARATOR`` between them."""
    of_user = field.owner == "user"
    fields = schema.user_fields if of_user else schema.impression_fields
    ids, lengths = (batch.user_ids, batch.user_lengths) if of_user else (batch.impression_ids, batch.impression_lengths)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    splits = [(begin, end) for begin, end in pairwise(ends.tolist())][fields.index(field) :: len(fields)]
    texts = [LIST_SEPARATOR.join(map(str, ids[begin:end].tolist())) or None for begin, end in splits]
    if not of_user:
        return texts
    return [texts[group] for group in np.repeat(np.arange(batch.num_groups), batch.impressions_per_group).tolist()]


def check_names(keep: Sequence[str], written: Sequence[str]) -> None:
    """Check that no kept column has the name of a column that predictions have themselves.

    Raises:
        ConfigError: One has.
    """
    twice = [name for name in keep if name in written]
    if twice:
        raise ConfigError(
            f"keep names column '{twice[0]}', and a file of predictions has a column of that name already: "
            f"{', '.join(written)}. Leave it out of keep, or give the column of the log another name."
        )
