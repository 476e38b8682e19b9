"""Join the files of an event log: which impressions the events of each label make positive.

``read`` takes the key and the time out of each row of each file and cuts them into partitions by a hash of the
key, ``attribute`` decides within a partition, and ``join`` writes what it decided for each row. The impressions
stay where they are: the flat stages read them, with the labels that ``preprocess.read.flat.event_labels`` finds here.
"""
