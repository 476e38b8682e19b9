"""``esmm importance`` and ``esmm explain``: what a model uses."""

from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome

if TYPE_CHECKING:
    from esmm_dist.report.importance.config import ExplainConfig, ImportanceConfig


def importance_command(settings: "ImportanceConfig", context: CommandContext) -> Outcome:
    """Measure what each task loses when a field is permuted."""
    raise NotImplementedError


def explain_command(settings: "ExplainConfig", context: CommandContext) -> Outcome:
    """Show which fields move one impression's predictions most."""
    raise NotImplementedError
