"""The rendezvous as a worker reaches it: signed calls, and the relay through which gloo makes them.

Here belongs who may talk at the rendezvous, and the worker's side of it. The server is
``launcher.driver.rendezvous_server``.
"""
