"""Training with workers that come and go: the agent on each worker's host, and what a driver and it say to each other.

Here belongs what starts, watches and stops training processes while a run goes on. What those processes agree on
belongs to ``esmm_dist``; a run whose processes are the same from its beginning to its end is ``launcher.local``.
"""
