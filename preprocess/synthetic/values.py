"""The values of features: ln(1 + count) for lists and crosses, fractions for intentions, 1.0 for one-hot fields."""

import numpy as np
import numpy.typing as npt

from preprocess.synthetic.draws import Floats, Ints

_LARGEST = 4000
_TWELFTHS = ("150_14", "853")
# A count of such fields is in twelfths: the real values of 150_14 are ln(1 + k / 12), of clicks decayed by age.


def _weights(per: int) -> Floats:
    weights: Floats = np.round(np.log1p(np.arange(_LARGEST + 1) / per), 5)
    return weights


_BY_COUNT = _weights(1)
_BY_TWELFTH = _weights(12)


def counted_weights(field: str, counts: Ints) -> Floats:
    """Return the values that a field shows for counts 0 .. 4000, rounded to 5 decimals as in the real log, float64."""
    return (_BY_TWELFTH if field in _TWELFTHS else _BY_COUNT)[counts]


def value_texts(values: Floats) -> npt.NDArray[np.bytes_]:
    r"""Return values as text of up to 7 bytes and the separator \x01, ``S8``: 1.0, 0.69315, 2.3979."""
    return np.array([f"{value!r}\x01".encode() for value in values.tolist()], dtype="S8")


COUNT_TEXTS = value_texts(_BY_COUNT)
TWELFTH_TEXTS = value_texts(_BY_TWELFTH)
FRACTION_TEXTS = value_texts(np.round(np.arange(13) / 12, 5))


def counted_texts(field: str, counts: Ints) -> npt.NDArray[np.bytes_]:
    """Return the texts of ``counted_weights``, ``S8``."""
    return (TWELFTH_TEXTS if field in _TWELFTHS else COUNT_TEXTS)[counts]
