"""The schema: which fields a log has, who owns them, and which labels form its funnel."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import cached_property

from esmm_dist.errors import SchemaError
from esmm_dist.schema.attention import check_attention
from esmm_dist.schema.columns import check_columns
from esmm_dist.schema.event_source import EventsSource, check_streams
from esmm_dist.schema.field import COMBINER_POWER, TABLE_NAME, Combiner, Field, Owner
from esmm_dist.schema.field_checks import check_crosses, check_dims, check_flat_only, check_id_spaces
from esmm_dist.schema.label_tree import LabelTree, split_after
from esmm_dist.schema.sources import AliCcpSource, FlatSource

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


def _needed(tree: LabelTree) -> dict[str, str]:
    """Return the label before each one that does not follow the one listed before it."""
    return {
        name: tree.names[parent]
        for place, (name, parent) in enumerate(zip(tree.names, tree.parents, strict=True))
        if parent != place - 1
    }
