"""``esmm synth`` and ``esmm preprocess``: from a raw log to a data set."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from launcher.command import CommandContext, Outcome
from launcher.terminal.json_line import json_value

if TYPE_CHECKING:
    from preprocess.config import PreprocessConfig
    from preprocess.synthetic.config import SynthConfig


def synth_command(settings: "SynthConfig", context: CommandContext) -> Outcome:
    """Write a synthetic raw log."""
    from preprocess.synthetic.events import synthesize_events
    from preprocess.synthetic.synthesize import synthesize

    if settings.form == "events":
        of_events = synthesize_events(settings, context.progress)
        return Outcome(lines=of_events.lines(), result=json_value(of_events))
    report = synthesize(settings, context.progress)
    return Outcome(lines=report.lines(), result=json_value(report))


def preprocess_command(settings: "PreprocessConfig", context: CommandContext) -> Outcome:
    """Turn a raw log into a data set."""
    from esmm_dist.api.data_set import DataSet
    from esmm_dist.api.known_ids import known_ids_fetched
    from launcher.commands.data_set_report import days_lines, report_mapping
    from preprocess.by_day import preprocess_by_day
    from preprocess.run import preprocess

    with known_ids_fetched(settings, context.progress) as fetched:
        if settings.by_day:
            days = preprocess_by_day(fetched, context.progress)
            found = {day: report_mapping(settings.out / day, manifest) for day, manifest in days.items()}
            return Outcome(lines=days_lines(settings.out, days), result={"data": str(settings.out), "days": found})
        manifest = preprocess(fetched, context.progress)
    made = DataSet(path=str(settings.out), manifest=manifest)
    return Outcome(lines=made.lines(), result=report_mapping(settings.out, manifest))


def settings_like(flags: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return the settings of the data set that ``--like`` names."""
    if "like" not in flags:
        return None
    from esmm_dist.api.known_ids import stored_settings_like

    return stored_settings_like(flags["like"])
