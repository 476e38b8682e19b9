"""The numbers of ``data_statistics`` as sections of a page."""
