"""``esmm local``: parameter servers and Horovod workers as processes of this machine, started, watched and ended.

``plan.py`` says which processes there are, ``supervisor.py`` runs them, ``ending.py`` says what their endings mean, and
``elastic.py`` keeps those of an elastic training running.
What the processes do belongs to their commands (``esmm server``, ``esmm train``); other machines belong elsewhere.
"""
