"""What ``esmm doctor`` checks: the machine, the versions, and the libraries at work.

A check is a function that reads something, and a pure function that judges it. A finding that is not ``ok`` says how to
fix it.
"""
