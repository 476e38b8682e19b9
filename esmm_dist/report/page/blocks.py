"""What a page is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from esmm_dist.report.pictures.picture import Picture

_KINDS = ("text", "note", "warning", "code")


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """A text, plain: what is HTML in it is shown as it stands.

    Raises:
        ValueError: There is no such kind.
    """

    text: str
    kind: str = "text"
    """``text``, or ``note`` (a remark), ``warning``, ``code`` (lines of a terminal or of a file)."""

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"A paragraph's kind is '{self.kind}'; there are {', '.join(_KINDS)}.")


@dataclass(frozen=True, kw_only=True)
class PageTable:
    """A table: the first column is aligned left, numbers right. A long one scrolls under its heads.

    Raises:
        ValueError: A row has not as many cells as there are heads, or a column's bars are not as many as the rows.
    """

    title: str
    """A sentence."""
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    """Texts, as many in each row as in ``head``."""
    how_to_read: str = ""
    text_columns: Sequence[int] = (0,)
    """Columns that are aligned left."""
    folded: bool = False
    """Whether it is shown only when a reader opens it."""
    bars: Mapping[int, Sequence[float | None]] = field(default_factory=dict)
    """For columns by their place, a share in 0 .. 1 for each row, drawn as a bar under the cell's text."""

    def __post_init__(self) -> None:
        wrong = [row for row in self.rows if len(row) != len(self.head)]
        if wrong:
            raise ValueError(f"Table '{self.title}' has a row of {len(wrong[0])} cells under {len(self.head)} heads.")
        for column, shares in self.bars.items():
            if len(shares) != len(self.rows):
                raise ValueError(
                    f"Table '{self.title}' has {len(shares)} bars in column {column} and {len(self.rows)} rows."
                )


Block = Paragraph | PageTable | Picture


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page with a heading of its own."""

    heading: str
    blocks: Sequence[Block]
    lead: str = ""
    """One or two sentences under the heading."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """One HTML file."""

    title: str
    subtitle: str
    """What it is of, when it was made, by which command."""
    facts: Sequence[tuple[str, str]] = ()
    """What stands in large letters at the top: (name, value)."""
    sections: Sequence[Section] = field(default=())
    refresh_s: float | None = None
    """Seconds after which a browser reads the file again, of a page that is still written. None: never."""

    def pictures(self) -> list[Picture]:
        """Return all pictures, in order.

        Raises:
            ValueError: Two have one name.
        """
        found = [block for each in self.sections for block in each.blocks if isinstance(block, Picture)]
        names = [each.name for each in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"Pictures of one page have the same name: {', '.join(twice)}.")
        return found
