"""The verbs of a job: their settings, finding the job that a word names, and the interface that both backends have.

``backend.py`` is the interface, ``local_run.py`` the backend of this machine, ``cluster_job.py`` that of clusters. What
a user types belongs to ``commands``, calls to a cluster belong to ``cluster``, files of a run to ``run_files``.
"""
