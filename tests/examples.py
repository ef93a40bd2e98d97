"""How many examples a property test tries: as many as it says, or in the fast suite fewer."""

from hypothesis import settings

FAST = "fast"


def examples(count: int) -> int:
    """`count`; a sixth of it, and at least ten, in the fast suite."""
    return max(10, count // 6) if settings.get_current_profile_name() == FAST else count
