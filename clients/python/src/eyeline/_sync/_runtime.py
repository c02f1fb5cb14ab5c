"""What differs between asynchronous and blocking code. The other half is ``_async/_runtime.py``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")

sleep = time.sleep


def in_thread(function: Callable[[], T]) -> T:
    """Runs a blocking function."""
    return function()


def each(function: Callable[[S], T], items: Sequence[S], width: int) -> list[T]:
    """Calls the function with each item, at most ``width`` at once. The first error ends all calls and is raised."""
    if width <= 1 or len(items) <= 1:
        return [function(item) for item in items]
    pool = ThreadPoolExecutor(max_workers=min(width, len(items)), thread_name_prefix="eyeline")
    try:
        futures = [pool.submit(function, item) for item in items]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            # Raises what the call raised.
            future.result()
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


def body(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Makes the body of a request of blocks that are read from a file."""
    iterator: Iterator[bytes] = iter(blocks)
    try:
        yield from iterator
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
