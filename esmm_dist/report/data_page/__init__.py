"""The numbers of ``data_statistics`` as the page of a data set. It reads no files."""
