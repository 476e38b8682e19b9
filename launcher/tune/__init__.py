"""``esmm tune``: search for the settings of ``esmm train`` that do best on the validation split, with Optuna.

What belongs here: which settings are searched and how they are checked (``config.py``, ``space.py``), what a trial is
measured by (``objective.py``), the processes that train (``trial_process.py``), and what is shown of a study. What must
not: anything that trains. A trial is the command ``esmm train`` in a process of its own.
"""
