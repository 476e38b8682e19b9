"""The id of each impression in one field, of the user or of its own."""

import pytest

from esmm_dist.input.one_hot_ids import NO_ID, OneHotIds
from tests.support.tiny_dataset import tiny_schema
from tests.unit.input.test_users import BATCH


@pytest.mark.parametrize(("field", "ids"), [("user", [7, 7, NO_ID, 9]), ("item", [31, 32, NO_ID, 33])])
def test_an_impression_has_the_id_of_its_context_or_its_own(field, ids):
    schema = tiny_schema()
    assert OneHotIds(schema, schema.field(field)).of(BATCH).tolist() == ids
