"""Joining what was read: repeated names, counts, the vocabulary, and each user context with its impressions."""
