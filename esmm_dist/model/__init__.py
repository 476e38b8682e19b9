"""What is computed from the rows of a batch: pooling, towers, the label tree, losses, metrics.

Ordinary single-process TensorFlow and Keras code; training and distribution are added around it
(``esmm_dist.train``). ``metrics`` is pure NumPy.
"""
