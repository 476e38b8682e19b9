"""The objects of a job as manifests: pure functions from a job to dicts. Nothing here asks a cluster."""
