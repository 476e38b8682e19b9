"""Reading raw and flat logs: finding the files, cutting them into chunks, checking every line, and rows on disk.

Nothing here knows which ids are kept or how records look.
"""
