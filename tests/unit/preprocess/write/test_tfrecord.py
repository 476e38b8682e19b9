"""Framed records against TensorFlow."""

from pathlib import Path

from preprocess.write.tfrecord import frame


def test_tensorflow_reads_framed_records_and_checks_their_checksums(tmp_path: Path):
    import tensorflow as tf

    (tmp_path / "r").write_bytes(frame(b"") + frame(b"data"))
    assert [r.numpy() for r in tf.data.TFRecordDataset(str(tmp_path / "r"))] == [b"", b"data"]
