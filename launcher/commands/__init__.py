"""What a user can type after ``esmm``: a table of commands, and the words of those that have more than words.

Here belongs what turns settings and a result into a report. The work itself belongs below: to ``launcher``'s other
folders, ``preprocess`` and ``esmm_dist``.
"""

from launcher.commands.registry import COMMANDS

__all__ = ["COMMANDS"]
