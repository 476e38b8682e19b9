"""Where the columns of a log come from: the ``source`` of a schema."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pydantic

from esmm_dist.config import nearest_hint
from esmm_dist.errors import SchemaError

SPLITS = ("train", "test")


def _texts(values: Any) -> Any:
    """Return a mapping with its scalar keys as the texts that stand in a log: ``{true: 1, 2: 0}``."""
    if not isinstance(values, Mapping):
        return values
    return {str(key).lower() if isinstance(key, bool) else str(key): value for key, value in values.items()}


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
    """For each label of the chain, the column that holds it: 0/1, true/false, or what ``label_values`` says."""

    label_values: Annotated[dict[str, Literal[0, 1]], pydantic.BeforeValidator(_texts)] = field(default_factory=dict)
    """Further values of the labels' columns: ``{yes: 1, no: 0}``; ``"": 0`` is for an empty cell or a null. 0, 1, true
    and false (in any case) mean what they say unless they are listed here."""

    sample_id: str | None = None
    """Integer column that names the impression. None: impressions are numbered from 1, file after file; train-2
    comes before train-10."""

    list_separator: str = "|"
    """Between the ids of a multi-hot text column. Parquet list columns need none."""

    weight_separator: str = ":"
    """Between an id and its weight in a weighted text column: ``id:weight``."""

    def __post_init__(self) -> None:
        self._check_files()
        self._check_separators()

    def _check_files(self) -> None:
        for split, pattern in self.files.items():
            if split not in SPLITS:
                raise SchemaError(f"source.files names files for '{split}', no split.{nearest_hint(split, SPLITS)}")
            if not pattern.strip():
                raise SchemaError(f"source.files.{split} is empty. Name a file, or a pattern such as log-*.csv.")
        if "train" not in self.files:
            raise SchemaError(
                "source.files names no files for train. Add train: a file, or a pattern such as log-*.csv."
            )

    def _check_separators(self) -> None:
        for name in ("list_separator", "weight_separator"):
            value = getattr(self, name)
            if not value or "\n" in value or "\r" in value:
                raise SchemaError(
                    f'source.{name} is {value!r}. Write it in quotes, such as {name}: "|"; without them YAML reads | '
                    "and > as the beginning of a longer text. A line break ends a row and can separate nothing in it."
                )
        if self.list_separator == self.weight_separator:
            raise SchemaError(
                f"source.list_separator and source.weight_separator are both '{self.list_separator}': an id could not "
                "be told from its weight. Set two different ones."
            )
