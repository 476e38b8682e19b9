"""Writing the data set: records, their order in lanes, shards, rejects, and the publication of all of it."""
