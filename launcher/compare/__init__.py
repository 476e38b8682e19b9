"""``esmm compare``: train models with several seeds each on one data set, and write the table that compares them.

What belongs here: which settings a model's name stands for (``models.py``), the processes of a run
(``run_process.py``), the statistics, and the table as text, JSON and picture. What must not: anything that trains or
scores. A run is the commands ``esmm train``, ``evaluate`` and ``predict`` in processes of their own.
"""
