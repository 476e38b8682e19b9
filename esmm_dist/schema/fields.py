"""The schema: which fields a log has, who owns them, and which labels form its funnel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import SchemaError
from esmm_dist.reported import Reported
from esmm_dist.schema.attention import check_attention
from esmm_dist.schema.columns import check_columns
from esmm_dist.schema.event_source import EventsSource, check_streams
from esmm_dist.schema.field import COMBINER_POWER, TABLE_NAME, Combiner, Field, Owner
from esmm_dist.schema.field_checks import check_crosses, check_dims, check_flat_only, check_id_spaces
from esmm_dist.schema.label_tree import LabelTree, split_after
from esmm_dist.schema.presets_folder import schema_path
from esmm_dist.schema.sources import AliCcpSource, FlatSource
from esmm_dist.text_table import text_table
from esmm_dist.yaml_text import YamlWriter, read_yaml

__all__ = ["COMBINER_POWER", "TABLE_NAME", "Combiner", "Field", "Owner", "Schema"]

_ALICCP = AliCcpSource()


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Fields and labels of one kind of log.

    Two orders matter and are fixed here: ``user_fields`` is the order of the segments of a record's user part, and
    ``impression_fields`` that of each impression's part.
    """

    name: str
    labels: tuple[str, ...]
    """The labels of the funnel, each a step deeper: ``[click, cart, purchase]``. A label counts only if all on its way
    are 1: the one listed before it and those before that one, or ``[click, purchase, favourite after click]``."""

    fields: tuple[Field, ...]
    after: Mapping[str, str] | None = dataclass_field(default=None, hash=False)
    """The label before each one that does not follow the one listed before it. None: the labels say it themselves, as
    ``favourite after click`` does. Given, also empty (``{}``), labels are names as they stand, whatever is in them."""

    source: AliCcpSource | FlatSource | EventsSource = _ALICCP

    @classmethod
    def from_yaml(cls, name_or_path: str | Path) -> "Schema":
        """Read a shipped schema by name, or a schema file by path.

        Args:
            name_or_path: ``aliccp``, ``aliccp-full``, ``guidebook``, or a path that ends in ``.yaml`` or ``.yml``

        Raises:
            SchemaError: There is no such preset or file, or it is wrong; the message names the file and the setting.
        """
        path = schema_path(str(name_or_path))
        return build(cls, read_yaml(path, error=SchemaError, words=True), where=str(path), error=SchemaError)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> "Schema":
        """Make a schema of what a schema file holds.

        Args:
            mapping: ``{"name": ..., "labels": [...], "source": {...}, "fields": [{"name": ..., "owner": ...}, ...]}``

        Raises:
            SchemaError: A setting is unknown, missing or wrong; the message names it.
        """
        return build(cls, mapping, where="the schema", error=SchemaError)

    @classmethod
    def from_table(cls, table: Any, labels: Sequence[str] = (), *, name: str = "guessed") -> "GuessedSchema":
        """Guess a first schema of a flat log; every guess is in what is returned, to be looked at and corrected.

        Args:
            table: R rows (pandas, polars or Arrow), some thousand or more: whom a column belongs to is told from values
            labels: columns of the labels in the order of the funnel; empty: columns of 0 and 1 that are named as labels
                are, the more positives the earlier
            name: name of the schema

        Raises:
            SchemaError: The table has no rows, a named label is no column of 0 and 1, or fewer than two are found.
            ConfigError: It is no table of these kinds.
        """
        from esmm_dist.schema.guessed_columns import guess_columns  # here: Arrow takes a tenth of a second
        from esmm_dist.table_kinds import given_table

        guess = guess_columns(given_table(table).table, labels, name)
        rows = tuple((each.column, each.role, each.reason) for each in guess.columns)
        return GuessedSchema(schema=cls.from_dict(guess.mapping), columns=rows, split=guess.split)

    def to_yaml(self) -> str:
        """Return the text of a schema file that says the same, every setting with its value."""
        return yaml.dump(to_mapping(self), Dumper=YamlWriter, sort_keys=False, allow_unicode=True)

    def __post_init__(self) -> None:
        texts = self.after is None
        if texts:
            names, after = split_after(self.labels)
            object.__setattr__(self, "labels", names)
            object.__setattr__(self, "after", after)
        if len(self.labels) < 2:
            raise SchemaError(
                f"Schema '{self.name}' has the labels {list(self.labels)}, and ESMM needs two or more, such as "
                "[click, conversion]."
            )
        for kind, listed in (("label", self.labels), ("field", [f.name for f in self.fields])):
            twice = sorted({n for n in listed if list(listed).count(n) > 1})
            if twice:
                raise SchemaError(f"Schema '{self.name}': {kind} '{twice[0]}' is listed twice. Keep one of them.")
        if not self.impression_fields:
            raise SchemaError(
                f"Schema '{self.name}': no field is owned by item or context. "
                "Nothing would tell a user's impressions apart; set the owner of at least one field."
            )
        try:
            object.__setattr__(self, "after", _needed(self._checked_tree(texts=texts)))
            if self.events_source is not None:
                check_streams(self.events_source, self.label_tree)
            flat = self.flat_source
            check_flat_only(self.fields, is_flat=flat is not None, has_time=flat is not None and flat.time is not None)
            check_crosses(self.fields)
            check_dims(self.fields)
            check_attention(self.fields)
            check_id_spaces(self.fields, shares_values=self.flat_source is not None)
            if self.flat_source is not None:
                check_columns(self.flat_source, self.labels, [f.name for f in self.fields if f.is_column])
        except SchemaError as e:
            raise SchemaError(f"Schema '{self.name}': {e}") from e

    @cached_property
    def label_tree(self) -> LabelTree:
        """Which label comes after which."""
        return LabelTree.of(self.labels, self.after)

    def _checked_tree(self, *, texts: bool) -> LabelTree:
        """Return the tree of the labels.

        Args:
            texts: whether ``after`` is what the labels say

        Raises:
            SchemaError: there is no such tree
        """
        try:
            return self.label_tree
        except SchemaError as e:
            hint = " A label that is called so: add after: {} beside labels." if texts and self.after else ""
            raise SchemaError(f"{e}{hint}") from e

    @property
    def flat_source(self) -> FlatSource | None:
        """Where the columns of a flat log come from; of an event log, of its joined impressions. None: Ali-CCP form."""
        if isinstance(self.source, EventsSource):
            return self.source.flat
        return self.source if isinstance(self.source, FlatSource) else None

    @property
    def events_source(self) -> EventsSource | None:
        """The files of events that are joined to a flat log; None: the log is none of events."""
        return self.source if isinstance(self.source, EventsSource) else None

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
    def split_fields(self) -> tuple[Field, ...]:
        """User fields by whose values a user context is in the train or the validation split, in record order.

        The first one-hot category, which names the user, so that all contexts of a user are in one split however the
        user's other fields change; without one, all categories. No numbers: the edges of buckets come from the train
        split, and so after the cut.
        """
        categories = tuple(f for f in self.user_fields if f.is_category)
        names = tuple(f for f in categories if not f.multi_hot and not f.weighted)
        return names[:1] or categories

    @cached_property
    def impression_fields(self) -> tuple[Field, ...]:
        """Fields stored with every impression (owners item and context), in record order."""
        return tuple(f for f in self.fields if f.owner != "user")

    @cached_property
    def embedding_dims(self) -> dict[str, int]:
        """D of each table whose fields say it."""
        return {field.table: field.embedding_dim for field in self.fields if field.embedding_dim is not None}

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


@dataclass(frozen=True, kw_only=True, repr=False)
class GuessedSchema(Reported):
    """A schema to begin with, from ``Schema.from_table``; its ``repr`` shows every guess.

    ``preprocess`` takes it as it is. To correct it, write ``to_yaml()`` to a file and edit that.
    """

    schema: Schema
    columns: tuple[tuple[str, str, str], ...]
    """Each column of the table, what it is taken for, and why."""
    split: str
    """How the test split is cut out, and why."""

    def to_yaml(self) -> str:
        """Return the text of a schema file, with the guesses as comments above it."""
        return "".join(f"# {line}\n" for line in self.lines()) + self.schema.to_yaml()

    def lines(self) -> list[str]:
        """Return every guess, a line each."""
        head = f"Schema guessed from a table; labels: {', '.join(self.schema.labels)}"
        return [head, *text_table(["column", "is", "because"], self.columns), f"split: {self.split}"]


def _needed(tree: LabelTree) -> dict[str, str]:
    """Return the label before each one that does not follow the one listed before it."""
    return {
        name: tree.names[parent]
        for place, (name, parent) in enumerate(zip(tree.names, tree.parents, strict=True))
        if parent != place - 1
    }
