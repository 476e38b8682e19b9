"""The files in a run's folder that other programs read: status, requests to scale or stop, record, events, logs.

Nothing here starts a process or talks to a cluster.
"""
