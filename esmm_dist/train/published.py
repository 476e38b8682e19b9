"""What a training has published since it was started."""

from dataclasses import dataclass

from esmm_dist.words import amount_text


@dataclass(frozen=True, kw_only=True)
class Published:
    """Versions that a training has published since this start, and what came between."""

    place: str
    """Folder of the versions, without credentials."""
    versions: int = 0
    """Versions that were put in place."""
    newest: str | None = None
    """Name of the newest version; None: nothing was published since this start."""
    newest_step: int | None = None
    """Step of its checkpoint."""
    skipped: int = 0
    """Times that one was due while the one before was still being exported."""
    failures: int = 0
    """Times that publishing failed."""
    last_error: str | None = None
    """Why it failed, if the last time failed."""

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        lines = []
        if self.newest is not None:
            lines.append(
                f"Published {amount_text(self.versions, 'versions')} to {self.place}; the newest is {self.newest}, the "
                f"model at step {self.newest_step:,}."
            )
        if self.skipped:
            lines.append(
                f"{amount_text(self.skipped, 'versions')} left out, because the one before was still being exported. "
                "Give a larger --publish-every-steps to have one in each period."
            )
        if self.failures:
            lines.append(f"Publishing failed {amount_text(self.failures, 'times')}.")
        if self.last_error is not None:
            lines.append(f"Warning: the newest model is not published: {self.last_error}")
        return lines
