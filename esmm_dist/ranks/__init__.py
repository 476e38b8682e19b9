"""The ranks of a run: one process alone, Horovod's, or an elastic run's (``world.py``); their rendezvous and network.

What ranks compute together belongs to ``esmm_dist.train``; who starts them, to ``launcher``.
"""
