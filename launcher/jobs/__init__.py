"""Jobs: runs of this machine and of clusters, under the same verbs."""
