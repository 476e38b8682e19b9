"""The ``esmm`` command: finds the command, runs it, prints its result, and turns what went wrong into one line."""

import difflib
import gc
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError, EsmmError, StorageError
from esmm_dist.escaped import lines_of
from esmm_dist.process.signals import StoppedBySignal
from esmm_dist.process.system_refusal import refusal
from esmm_dist.storage.stored_place import stored_uris
from launcher.agent.worker_link import worker_link
from launcher.command import RUN_AGAIN, CommandContext, Outcome, own_rank
from launcher.commands.overview import overview
from launcher.commands.registry import COMMANDS, FIRST_STEPS
from launcher.doctor import versions
from launcher.local.workspace import LOG_FOLDER
from launcher.processes.first_process import run_as_child_of_first_process
from launcher.settings import flags
from launcher.settings.print_settings import settings_yaml
from launcher.settings.resolve import Resolved, resolve
from launcher.terminal.json_line import json_line
from launcher.terminal.progress import make_progress
from launcher.terminal.streams import check_names, prepare_streams, use_utf8_names

PIPE_CLOSED = 141
"""Exit status when the reader of stdout went away (``esmm ... | head``): 128 + SIGPIPE."""

UNEXPECTED = 70
"""Exit status of an unexpected error: EX_SOFTWARE of sysexits.h."""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        args: command line without the program's name; None: that of the process

    Returns:
        The exit status; 0 only if the work is done.
    """
    if args is None:
        run_as_child_of_first_process()
        use_utf8_names()
        prepare_streams()
        # For child processes: a file in the current folder (random.py) must not shadow a module
        os.environ["PYTHONSAFEPATH"] = "1"
    line = list(sys.argv[1:] if args is None else args)
    try:
        return _flushed(_main(line), line)
    except BrokenPipeError:
        _drop_stdout()
        return PIPE_CLOSED
    except KeyboardInterrupt as e:
        number = e.number if isinstance(e, StoppedBySignal) else signal.SIGINT
        what = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
        _complain(f"{what}. {RUN_AGAIN}", line)
        return 128 + number
    finally:
        if args is None:  # the process ends: nothing is left to collect, and looking took 0.3 s after Numba's modules
            gc.freeze()


def _flushed(status: int, line: Sequence[str]) -> int:
    """Flush stdout; return the exit status, which is not 0 if that fails."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as e:
        _drop_stdout()
        if status == 0:
            _complain(f"cannot write to stdout ({e.strerror}). The work is done, but its report is lost.", line)
            return StorageError.exit_status
    return status


def _drop_stdout() -> None:
    """Point stdout to /dev/null: Python would fail again when it flushes stdout at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _main(line: list[str]) -> int:
    if not line or line[0] in ("-h", "--help"):
        print(overview(COMMANDS, FIRST_STEPS), file=sys.stdout if line else sys.stderr)
        return 0 if line else ConfigError.exit_status
    debug = "--debug" in line
    try:
        if line[0] == "--version":
            return _print_versions("--json" in line[1:])
        return _command(line)
    except SystemExit as e:  # tyro, after --help or a message about a flag
        return e.code if isinstance(e.code, int) else ConfigError.exit_status
    except EsmmError as e:
        if debug:
            traceback.print_exc()
        _complain(str(e), line)
        worker_link().error(str(e), e.exit_status)
        return e.exit_status
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as e:
        text = refusal(e) if isinstance(e, OSError) else None
        if text is not None:
            if debug:
                traceback.print_exc()
            _complain(text, line)
            worker_link().error(text, StorageError.exit_status)
            return StorageError.exit_status
        _report_unexpected(e, line, debug)
        return UNEXPECTED


def _command(line: list[str]) -> int:
    resolved = resolve_line(line)
    if resolved.common.print_config:
        if not flags.missing(resolved.cls, resolved.values):
            flags.finish(resolved.cls, resolved.values)
        print(settings_yaml(resolved.cls, resolved.values), end="")
        return 0
    outcome = run_line(line, resolved)
    if own_rank(COMMANDS[line[0]])[0] > 0:  # rank 0 reports the same
        return 0 if outcome.done else outcome.failed_status
    report = sys.stderr if resolved.common.json else sys.stdout
    for text in outcome.lines:
        print(text, file=report)
    if resolved.common.json:
        print(json_line(outcome.result))
    return 0 if outcome.done else outcome.failed_status


def resolve_line(line: Sequence[str]) -> Resolved:
    """Find the command of a line and resolve its settings.

    Raises:
        ConfigError: the command is unknown, or a setting is wrong
    """
    if line[0] not in COMMANDS:
        near = difflib.get_close_matches(line[0], COMMANDS, n=1, cutoff=0.5)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ConfigError(f"Unknown command '{line[0]}'.{hint} Commands: {', '.join(COMMANDS)}. See esmm --help.")
    return resolve(COMMANDS[line[0]], line[1:])


def settings_of_line(line: Sequence[str]) -> Any:
    """Return the checked settings of a command line.

    Raises:
        ConfigError: the command is unknown, or a setting is wrong
    """
    resolved = resolve_line(line)
    return flags.finish(resolved.cls, resolved.values)


def run_line(line: Sequence[str], resolved: Resolved | None = None) -> Outcome:
    """Run one command line within this process and return what it did.

    Raises:
        EsmmError: whatever the command raises
    """
    check_names(line)
    resolved = resolved or resolve_line(line)
    command, progress = COMMANDS[line[0]], make_progress()
    context = CommandContext(progress=progress, run_line=run_line, settings_of_line=settings_of_line)
    try:
        uris = stored_uris(command.stored, resolved.values)
        if not uris:
            return command.run(flags.finish(resolved.cls, resolved.values), context)
        from launcher.object_store.places import run_on_copies

        return run_on_copies(
            command, uris, lambda copies: flags.finish(resolved.cls, {**resolved.values, **copies}), context
        )
    finally:
        progress.finish()


def _print_versions(as_json: bool) -> int:
    found = versions.installed()
    if as_json:
        print(json.dumps(found))
    else:
        width = max(len(name) for name in found)
        for name, version in found.items():
            print(f"{name:<{width}}  {version}")
    return 0


def _report_unexpected(error: Exception, line: Sequence[str], debug: bool) -> None:
    if debug:
        traceback.print_exc()
    text = "".join(traceback.format_exception(error))
    kind = f"{type(error).__name__}: {_first_line(error)}"
    worker_link().error(f"unexpected {kind}", UNEXPECTED)
    try:
        where = str(_write_log(f"esmm {' '.join(line)}\n{text}"))
    except OSError as e:
        where = f"nowhere ({e})"
    _complain(
        f"unexpected {kind}. The traceback is in {where}; --debug prints it here. Unless the machine is at fault "
        "(disk, memory), this is a bug: please report it with that file.",
        line,
    )


def _complain(text: str, line: Sequence[str]) -> None:
    """Write one line about what went wrong, in one piece: each of several ranks may write one."""
    rank, size = own_rank(COMMANDS.get(line[0]) if line else None)
    which = f"rank {rank} of {size}: "
    sys.stderr.write(f"esmm: {lines_of(text if size == 1 or text.startswith(which) else which + text)}\n")
    sys.stderr.flush()


def _write_log(text: str) -> Path:
    with tempfile.NamedTemporaryFile(
        "w",
        prefix="esmm-",
        suffix=".log",
        delete=False,
        encoding="utf-8",
        errors="backslashreplace",  # a path on the command line may not be text
        dir=os.environ.get(LOG_FOLDER),
    ) as log:
        log.write(text)
    return Path(log.name)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "(no message)"
