"""Load TensorFlow and TFRA through the quiet door before any test module does: they warn, and warnings are errors."""

from esmm_dist.process.quiet import import_tfra

import_tfra()
