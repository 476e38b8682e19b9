"""``esmm importance`` and ``esmm explain``: what a model uses."""

from typing import TYPE_CHECKING

from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value

if TYPE_CHECKING:
    from esmm_dist.report.importance.config import ExplainConfig, ImportanceConfig
    from esmm_dist.report.importance.field_importance import Importance


def importance_command(settings: "ImportanceConfig", context: CommandContext) -> Outcome:
    """Measure what each task loses when a field is permuted."""
    from esmm_dist.report.importance.measure import measure_importance
    from esmm_dist.report.importance.stored import keep_importance
    from esmm_dist.storage.folder import Folder

    found = measure_importance(settings, context.progress)
    lines = [*found.lines(), keep_importance(found, Folder.open(settings.checkpoint.run)), *_written(found, settings)]
    return Outcome(lines=lines, result=json_value(found.to_mapping()))


def _written(found: "Importance", settings: "ImportanceConfig") -> list[str]:
    """Write the page and the picture that are asked for; return a line on each."""
    if settings.html is None and settings.png is None:
        return []
    from esmm_dist.report.importance.sections import importance_page
    from esmm_dist.report.page.writing import write_html, write_pngs
    from esmm_dist.words import short_bytes

    page, lines = importance_page(found, "esmm importance"), []
    if settings.html is not None:
        lines.append(f"Wrote {settings.html} ({short_bytes(write_html(page, settings.html))}).")
    if settings.png is not None:
        lines += [f"Wrote {path}." for path in write_pngs(page, settings.png)]
    return lines


def explain_command(settings: "ExplainConfig", context: CommandContext) -> Outcome:
    """Show which fields move one impression's predictions most."""
    from esmm_dist.report.importance.explain import explain

    found = explain(settings, context.progress)
    return Outcome(lines=found.lines(most_fields=settings.most_fields), result=json_value(found.to_mapping()))
