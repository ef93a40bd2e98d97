"""The profile of property tests in the fast suite: fewer examples where a test does not say how many."""

from hypothesis import settings

settings.register_profile("fast", max_examples=25)
