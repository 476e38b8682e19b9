"""Load TensorFlow through the quiet door before any test module does: it warns, and warnings are errors."""

from esmm_dist.process.quiet import import_tfra

import_tfra()
