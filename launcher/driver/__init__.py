"""The driver of an elastic training: which workers train, under which ranks, and whether the run goes on.

It talks to agents, never to processes. A run whose processes are the same from its beginning to its end needs none:
that is ``launcher.local``.
"""
