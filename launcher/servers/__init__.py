"""``esmm servers``: what parameter servers count about themselves, as a table."""
