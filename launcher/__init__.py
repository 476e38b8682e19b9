"""The ``esmm`` command: reads settings, runs the work, shows progress, says what went wrong.

Here belongs what a command line needs: flags, settings files, progress, exit statuses, the demo, the doctor, set-up
scripts. The work itself belongs to ``preprocess`` and ``esmm_dist``, which know nothing of this package.
"""
