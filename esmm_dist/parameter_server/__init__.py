"""Parameter servers: processes that hold the rows of a run, and the client that training reaches them with.

Here belongs what lies between a rank and a row on another machine: messages, the order of steps, connections, access.
What a push does to a row belongs to ``esmm_dist.embedding``, whose tables a server uses unchanged.
"""

import os

# gRPC writes a line to stderr, past Python, for each refused connection and failed handshake; every one of them is an
# error here, which says what to do. Who sets the variable gets the lines.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
