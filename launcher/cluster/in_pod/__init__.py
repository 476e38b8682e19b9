"""What runs inside the cluster: the driver finds its workers in the API, and says there how the run is."""
