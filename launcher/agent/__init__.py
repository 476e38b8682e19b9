"""The agent on each worker's host: it starts, watches and ends one worker process as a driver asks.

What the ranks agree on among themselves belongs to ``esmm_dist``; whom the driver asks for belongs to
``launcher.driver``.
"""
