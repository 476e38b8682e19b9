"""What every test shares: property tests that give the same answer on every run, however slow the machine."""

import hypothesis

hypothesis.settings.register_profile("steady", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("steady")
