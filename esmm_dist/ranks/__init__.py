"""The ranks of a training: one process alone, Horovod's, or workers that come and go, and how they find each other."""
