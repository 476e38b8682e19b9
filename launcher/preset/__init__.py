"""Presets: from raw logs to an evaluation in one command, with settings that are chosen and explained.

A preset is two shipped files of one name, for ``esmm preprocess`` and for ``esmm train``, and a line here about it. It
has no code of its own.
"""
