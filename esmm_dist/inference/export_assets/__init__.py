"""What stands in ``assets.extra`` of an exported version: requests with answers, warm-up requests, the rules in words.

What belongs here: making these files from a schema, and from what the model knows. What does not: the graph itself, and
the tables of rows (``inference``).
"""
