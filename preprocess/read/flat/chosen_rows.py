"""Which rows of the train files of a flat log are the validation split: by their user contexts, or their sample ids."""

import numpy as np
import pyarrow as pa

from esmm_dist.arrays import I64, U64, Bools
from esmm_dist.hashing import mix64
from esmm_dist.schema.feature_id import missing_id
from esmm_dist.schema.fields import Schema
from preprocess.read.feature_rows import FeatureRows
from preprocess.read.flat.columns import RowReasons, read_sample_ids, read_sample_names
from preprocess.read.flat.field_reader import FieldReader
from preprocess.read.parse_job import ParseJob
from preprocess.read.texts import Texts


def validation_rows(job: ParseJob, of_users: FeatureRows, sample_ids: I64) -> Bools:
    """Return which rows of the train files are the validation split: bool [R].

    Rows whose ``Schema.split_fields`` are equal are in one split. Rows without a value in any of them are one context,
    which may be much of the log: they stay in train.

    Args:
        job: says the share
        of_users: R rows of ``Schema.split_fields``
        sample_ids: int64 [R]; they decide where there are no such fields
    """
    if not job.choice.validation_share:
        return np.zeros(len(sample_ids), np.bool_)
    if not job.schema.split_fields:
        return job.choice.validation(sample_ids.astype(np.uint64))
    keys, has_user = _user_keys(job.schema, of_users)
    return job.choice.validation(keys) & has_user


def sampled_rows(job: ParseJob, table: pa.Table, positions: I64) -> Bools:
    """Return which rows of a table are read, where that is a share of them: bool [R].

    Rows whose ``Schema.split_fields`` are equal are of one user, who is read or not. A row without a value in any of
    them goes by its place in the log.

    Args:
        job: says the share
        table: R rows
        positions: their places in the log, int64 [R]
    """
    fields, places = job.schema.split_fields, positions.astype(np.uint64)
    if not fields:
        return job.choice.sampled(places)
    keys, has_user = _user_keys(job.schema, FieldReader(table, job.schema, RowReasons()).read(fields))
    return job.choice.sampled(np.where(has_user, keys, places))


def _user_keys(schema: Schema, of_users: FeatureRows) -> tuple[U64, Bools]:
    """Return a hash of each row's ``Schema.split_fields``, uint64 [R], and which rows have a value: bool [R]."""
    missing = np.array([missing_id(field.id_space) for field in schema.split_fields], np.int64)
    of_users = of_users.keep(of_users.ids != missing[of_users.field_of_feature()])
    return content_keys(of_users), np.diff(of_users.row_splits) > 0


def of_split_fields(user: FeatureRows, schema: Schema) -> FeatureRows:
    """Return rows of ``Schema.user_fields`` with those of ``Schema.split_fields`` alone."""
    decides = np.array([field in schema.split_fields for field in schema.user_fields], np.bool_)
    if decides.all():
        return user
    kept = user.keep(decides[user.field_of_feature()])
    return FeatureRows(lengths=kept.lengths[:, decides], ids=kept.ids, values=kept.values)


def read_names(table: pa.Table, schema: Schema, column: str, reasons: RowReasons) -> tuple[I64, Texts | None]:
    """Return the sample ids of rows that a column names, int64 [R], and the texts that name them, if texts do.

    Args:
        table: rows of the log
        schema: says whether numbers or texts name them
        column: the column
        reasons: receives the rejected rows
    """
    assert schema.flat_source is not None  # only flat logs have columns
    if schema.has_text_sample_ids:
        return read_sample_names(table, column, reasons)
    return read_sample_ids(table, column, schema.flat_source, reasons), None


def content_keys(rows: FeatureRows) -> U64:
    """Hash the features of each row to its user context: rows of equal content have equal ones, uint64 [R]."""
    splits = rows.row_splits
    place = np.arange(len(rows.ids)) - np.repeat(splits[:-1], np.diff(splits))
    position = (rows.field_of_feature().astype(np.uint64) << np.uint64(32)) | place.astype(np.uint64)
    weights = rows.values.view(np.uint32).astype(np.uint64)
    hashes = mix64(mix64(mix64(rows.ids) ^ position) ^ weights)
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(hashes, dtype=np.uint64)))  # modulo 2^64
    return mix64(sums[splits[1:]] - sums[splits[:-1]])
