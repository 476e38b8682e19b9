"""From the shards of a data set to grouped batches in one global order.

Here belongs reading: the order of records, parsing, batching, prefetching. Writing shards belongs to ``preprocess``;
looking up rows of the ids belongs to ``esmm_dist.embedding``.
"""
