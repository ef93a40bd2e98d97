"""Blobs that move between a layout and a registry, several at once; who watches is told of each."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Protocol, TypeVar

from edgepack.oci.descriptor import Descriptor

AT_ONCE = 6
_Item = TypeVar("_Item")
_Done = TypeVar("_Done")


class Watch(Protocol):
    """Told which blobs there are, how far each has come, and how it came to be there. Called from several threads."""

    def planned(self, blobs: Sequence[Descriptor]) -> None:
        """These are to be had."""

    def moved(self, blob: Descriptor, moved_bytes: int) -> None:
        """So many bytes of one have moved; may fall after a fault."""

    def ended(self, blob: Descriptor, how: str) -> None:
        """One is there: `present`, `mounted`, `uploaded` or `fetched`."""


class Unwatched:
    """Nobody watches."""

    def planned(self, blobs: Sequence[Descriptor]) -> None:
        """Nothing is done."""

    def moved(self, blob: Descriptor, moved_bytes: int) -> None:
        """Nothing is done."""

    def ended(self, blob: Descriptor, how: str) -> None:
        """Nothing is done."""


UNWATCHED = Unwatched()


def each_at_once(work: Callable[[_Item], _Done], items: Iterable[_Item], stop: Callable[[], None]) -> list[_Done]:
    """What `work` makes of each item, in their order, several at a time.

    After the first error, or when interrupted, nothing more is begun and `stop` is called, which must make what is
    under way fail; then the error is raised.
    """
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        futures = [pool.submit(work, item) for item in items]
        for future in as_completed(futures):
            future.result()
        return [future.result() for future in futures]
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
