"""Reading a flat log: CSV or Parquet, one row an impression, one column a field."""
