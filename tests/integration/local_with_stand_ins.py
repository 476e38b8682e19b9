"""Runs ``esmm`` as it is, except that ``esmm local`` starts stand-ins."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from launcher.cli import main
from launcher.commands import COMMANDS
from launcher.local.run import run_local

STAND_IN = (sys.executable, str(Path(__file__).with_name("local_stand_in.py")))
RUN = str(Path(os.environ.get("STAND_IN_FOLDER", ".")) / "run")

if __name__ == "__main__":

    def run(settings, context):
        return run_local(
            settings,
            context.progress,
            check=lambda line: SimpleNamespace(run=RUN, data=Path("no data set")),
            esmm=STAND_IN,
        )

    COMMANDS["local"] = replace(COMMANDS["local"], work=run)
    sys.exit(main())
