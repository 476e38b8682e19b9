"""The demo: every step from a raw log to predictions, each as the command that a user would type.

It adds nothing to those commands: what it shows can be repeated by hand, line by line.
"""
