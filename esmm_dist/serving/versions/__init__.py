"""Versions as they come: found, fetched, checked, loaded and put into service while requests are answered."""
