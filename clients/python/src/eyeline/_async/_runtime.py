"""What differs between asynchronous and blocking code. The other half is ``_sync/_runtime.py``, written by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import anyio
import anyio.abc
import anyio.to_thread

S = TypeVar("S")
T = TypeVar("T")

sleep = anyio.sleep


async def in_thread(function: Callable[[], T]) -> T:
    """Runs a blocking function, without blocking other tasks."""
    return await anyio.to_thread.run_sync(function)


async def each(function: Callable[[S], Awaitable[T]], items: Sequence[S], width: int) -> list[T]:
    """Calls the function with each item, at most ``width`` at once. The first error ends all calls and is raised."""
    results: dict[int, T] = {}
    waiting = iter(enumerate(items))
    errors: list[Exception] = []

    async def work(tasks: anyio.abc.TaskGroup) -> None:
        for index, item in waiting:
            try:
                results[index] = await function(item)
            except Exception as error:
                errors.append(error)
                tasks.cancel_scope.cancel()
                return

    async with anyio.create_task_group() as tasks:
        for _ in range(min(width, len(items))):
            tasks.start_soon(work, tasks)
    if errors:
        raise errors[0]
    return [results[index] for index in range(len(items))]


async def body(blocks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Makes the body of a request of blocks that are read from a file."""
    iterator: Iterator[bytes] = iter(blocks)
    try:
        while (block := await in_thread(lambda: next(iterator, None))) is not None:
            yield block
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
