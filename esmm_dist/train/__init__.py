"""Training: the compiled step, the loop around it, evaluation during and after.

Here belongs what happens over time: steps, epochs, signals, logs. What is computed in a step belongs to
``esmm_dist.model``, how state reaches disk to ``esmm_dist.checkpoint``.
"""
