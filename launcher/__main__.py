"""``python -m launcher`` is ``esmm``."""

import os
import sys

# Python puts the current folder first on its path: a random.py there would shadow the standard library's
if not sys.flags.safe_path and sys.path[0] != os.path.dirname(os.path.dirname(os.path.abspath(__file__))):
    del sys.path[0]

from launcher.cli import main  # after the path is right

if __name__ == "__main__":
    sys.exit(main())
