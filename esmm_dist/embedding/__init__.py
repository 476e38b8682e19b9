"""Dynamic embeddings: rows that exist once an id has been learned, their optimizers, and the lookup of a batch.

Here belongs what decides the value of a row. How rows travel between processes belongs to
``esmm_dist.parameter_server``, how they reach disk to ``esmm_dist.checkpoint``,
what is computed from them to ``esmm_dist.model``.
"""
