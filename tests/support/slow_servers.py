"""Runs ``esmm`` as it is, except that its servers are slow: each save and each step takes a while longer.

A fault can then hit a save, and a process that starts finds cores that the training leaves free.
"""

import sys
import time
from dataclasses import replace

from launcher.cli import main
from launcher.commands import COMMANDS

SAVE_S = 0.4
STEP_S = 0.06


def slow_down() -> None:
    """Make each table's files, and the updates of its rows, take their time."""
    from esmm_dist.embedding import embedded_store, table_files
    from esmm_dist.embedding.embedded_store import EmbeddedStore

    push = EmbeddedStore.push

    def slow_push(*args, **kwargs):
        time.sleep(STEP_S)
        return push(*args, **kwargs)

    EmbeddedStore.push = slow_push  # type: ignore[method-assign]

    save_table = table_files.save_table

    def slow_save_table(*args, **kwargs):
        time.sleep(SAVE_S)
        return save_table(*args, **kwargs)

    vars(embedded_store)["save_table"] = slow_save_table


if __name__ == "__main__":
    if sys.argv[1] == "server":
        from esmm_dist.process.quiet import import_tfra

        import_tfra()
        slow_down()
    if sys.argv[1] == "local":
        from launcher.local.run import run_local

        def run(settings, context):
            return run_local(
                settings, context.progress, check=context.settings_of_line, esmm=(sys.executable, __file__)
            )

        COMMANDS["local"] = replace(COMMANDS["local"], work=run)
    sys.exit(main())
