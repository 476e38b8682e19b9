"""Two trained models on the same impressions: ``esmm compare-runs``."""
