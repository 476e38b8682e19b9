"""The networks that turn the pooled fields of an impression into its outputs, a file each, named as settings name it.

What is common to all of them (``BaseNetwork``, ``PooledFields``) and what makes and calls them (``towers.py``) stands
one folder up; a new network is added to ``network_names.py`` too.
"""
