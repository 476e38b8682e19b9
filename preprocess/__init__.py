"""Raw click logs -> vocabulary -> grouped TFRecord shards and a manifest.

Here belongs what reads raw logs and writes data sets, and the synthetic log generator (``synthetic/``). Of
``esmm_dist`` it uses schema, config, errors and progress only; it never imports TensorFlow, whose import would cost
each worker process seconds. Reading the records is ``esmm_dist.input``.
"""
