"""Child processes: how they start, how their lines are split, how they end, and which signals reach them."""
