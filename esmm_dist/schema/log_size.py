"""Where a small log ends: the one number that preprocess and training choose by."""

SMALL_LOG_IMPRESSIONS = 200_000
"""Train impressions below which a log is small: what suits it was measured on logs of 11,000 to 170,000."""
