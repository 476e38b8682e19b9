"""How a run's model scores a split, and what its tables hold, in numbers and as sections of a page."""
