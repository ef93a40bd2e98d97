"""How long to wait before trying again: doubling delays with a limit. Pure; the caller owns the clock."""


def delay_s(attempt: int, *, first_s: float, limit_s: float) -> float:
    """Seconds to wait before try number `attempt` (1 is the first repetition): `first_s`, doubled each time.

    Never more than `limit_s`; 0 for attempts below 1. Safe for any number of attempts.
    """
    if attempt < 1:
        return 0.0
    return min(limit_s, first_s * 2.0 ** min(attempt - 1, 60))
