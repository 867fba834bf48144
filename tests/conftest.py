"""Property tests have no deadline: how long an example takes says how busy the machine is.

Tests of time measure that of the processor.
"""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
