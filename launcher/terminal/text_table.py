"""The table that commands print."""

from esmm_dist.text_table import text_table

__all__ = ["text_table"]
