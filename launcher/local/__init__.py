"""``esmm local``: parameter servers and Horovod workers as processes of this machine, started, watched and ended.

``process_plans.py`` says which processes there are, ``supervisor.py`` runs them, and ``elastic.py`` keeps those of an
elastic training running, with ``restarted_process.py`` and ``agent_places.py``.
What the processes do belongs to their commands (``esmm server``, ``esmm train``); other machines belong elsewhere.
"""
