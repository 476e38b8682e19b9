"""The stages of one run: each hands tasks to the pool, and returns what they counted as a value.

::

    raw logs --parse--> rows by user context --reject repeats--> lines to drop
                              |                               |
                              +--count--> vocabulary ---------+
                              |                               |
                              +--records (join, filter, group, encode) --deal--> pieces of lanes --write--> shards

A stage that is done in full is kept as ``all-NAME.json``; the files that only it and earlier stages read are deleted
then, so that the disk holds little more than the rows and the records at once. What a task does is in ``read``,
``join`` and ``write``.
"""
