"""Which packages or files share a layer. Pure.

A large one has a layer of its own. The others are parted by the hash of their names, in halves again and again, until
a group is small. So a name's group depends on the names and sizes in that group alone: a change, a new one or one that
grows changes one group, not how the rest is grouped. Only where that would be too many layers, all may be twice as
large.
"""

import hashlib
from collections.abc import Mapping, Sequence

GROUP_BYTES = 4 * 1024 * 1024
_SHOWN = 2


def group_names(sizes: Mapping[str, int], most: int) -> list[tuple[str, ...]]:
    """The names (with their sizes in bytes) in at most `most` groups: large ones alone, first; each part sorted."""
    limit = GROUP_BYTES
    while len(groups := _groups(sizes, limit)) > most:
        limit *= 2
    return groups


def _groups(sizes: Mapping[str, int], limit: int) -> list[tuple[str, ...]]:
    small = sorted(name for name, size in sizes.items() if size < limit)
    large = sorted(sizes.keys() - set(small))
    return [(name,) for name in large] + sorted(_halves(small, sizes, limit, 0))


def _halves(names: Sequence[str], sizes: Mapping[str, int], limit: int, depth: int) -> list[tuple[str, ...]]:
    if not names:
        return []
    if len(names) == 1 or sum(sizes[name] for name in names) <= limit:
        return [tuple(names)]
    left = [name for name in names if not _bit(name, depth)]
    right = [name for name in names if _bit(name, depth)]
    return [*_halves(left, sizes, limit, depth + 1), *_halves(right, sizes, limit, depth + 1)]


def _bit(name: str, number: int) -> int:
    digest = hashlib.sha256(name.encode()).digest()
    return digest[number // 8] >> number % 8 & 1


def title_of(names: Sequence[str]) -> str:
    """A title for a group, told from those of other groups by its first name."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
