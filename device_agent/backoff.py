"""How long to wait before trying again: doubling delays with a limit. Pure; the caller owns the clock."""


def delay_s(attempt: int, *, first_s: float, limit_s: float) -> float:
    """Seconds to wait before try number `attempt` (1 is the first repetition): `first_s`, doubled each time.

    Never more than `limit_s`; 0 for attempts below 1. Safe for any number of attempts.
    """
    if attempt < 1:
        return 0.0
    return min(limit_s, first_s * 2.0 ** min(attempt - 1, 60))


def spread_delay_s(failed_attempts: int, chance: float, *, least_s: float = 1.0, first_s: float = 5.0) -> float:
    """Seconds until the next attempt: anywhere between `least_s` and a bound that doubles from `first_s` to 60.

    `chance` is a random number from 0 to 1; whoever fails at the same moment does not come back at the same moment.
    """
    return least_s + chance * (delay_s(failed_attempts + 1, first_s=first_s, limit_s=60.0) - least_s)
