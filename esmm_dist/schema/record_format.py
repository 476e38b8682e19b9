"""The layout of one record, as data: which keys a ``tf.train.Example`` holds and what they mean.

One record is one user context with 1..group_size of its impressions (b of them). With F_u user fields and F_i
impression fields of the schema, both in schema order::

    key                 list     length            meaning
    user_ids            int64    n_u               feature ids of the user fields, field after field
    user_lengths        int64    F_u               how many of them belong to each field (Σ = n_u)
    user_weights        float32  n_u               weight of each id; absent if no user field is weighted
    impression_ids      int64    n_i               ids of impression 0, field after field, then of impression 1, ...
    impression_lengths  int64    b * F_i           how many ids each (impression, field) has (Σ = n_i)
    impression_weights  float32  n_i               weight of each id; absent if no impression field is weighted
    sample_ids          int64    b                 the log's name of each impression; a hash of it if it is a text
    sample_names        bytes    b                 the names, UTF-8, with the columns that the schema keeps
                                                   (impression_text.py); only where there are such names or columns
    sample_weights      float32  b                 sample weights, 0 or more; only where the schema names their column
    labels              int64    b * len(labels)   0/1, label after label within an impression; never 1 after a 0

A list of length 0 may be absent. Fields that are not weighted have weight 1 where their part of the record has weights.
The keys are few on purpose: parsing costs by the key and the record, so two lists and their lengths read several times
faster than two lists for each of 23 fields. ``tf.io.RaggedFeature`` with ``RowLengths`` partitions reads it directly
(``preprocess/README.md`` shows the ten lines).

Sources: ``tf.train.Example`` (tensorflow/core/example/example.proto), TFRecord framing (tensorflow/core/lib/io).
"""

USER_IDS = "user_ids"
USER_LENGTHS = "user_lengths"
USER_WEIGHTS = "user_weights"
IMPRESSION_IDS = "impression_ids"
IMPRESSION_LENGTHS = "impression_lengths"
IMPRESSION_WEIGHTS = "impression_weights"
SAMPLE_IDS = "sample_ids"
SAMPLE_NAMES = "sample_names"
SAMPLE_WEIGHTS = "sample_weights"
LABELS = "labels"
