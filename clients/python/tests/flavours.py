"""Both clients behind one face: calls of the asynchronous one are run to their end."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, cast

from anyio.from_thread import BlockingPortal, start_blocking_portal

from eyeline import AsyncEyeline, Eyeline


class Blocking:
    """An object of the asynchronous client, seen as one of the blocking client."""

    def __init__(self, portal: BlockingPortal, wrapped: Any) -> None:
        self._portal = portal
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return self._seen(getattr(self._wrapped, name))

    def _seen(self, value: Any) -> Any:
        if callable(value) and not inspect.isclass(value):
            return lambda *args, **named: self._finished(value(*args, **named))
        return Blocking(self._portal, value) if type(value).__module__.startswith("eyeline._async") else value

    def _finished(self, result: Any) -> Any:
        if inspect.isawaitable(result):

            async def run() -> Any:
                return await result

            return self._seen_result(self._portal.call(run))
        return self._seen_result(result)

    def _seen_result(self, result: Any) -> Any:
        if hasattr(result, "__aiter__") or type(result).__name__ == "AsyncUploadedImage":
            return Blocking(self._portal, result)
        return result

    def __iter__(self) -> Iterator[Any]:
        iterator: AsyncIterator[Any] = aiter(self._wrapped)

        async def one() -> tuple[Any, bool]:
            try:
                return await anext(iterator), True
            except StopAsyncIteration:
                return None, False

        while True:
            item, there = self._portal.call(one)
            if not there:
                return
            yield item


@contextmanager
def blocking(url: str, key: str | None, **options: Any) -> Iterator[Eyeline]:
    """The blocking client."""
    with Eyeline(url, key=key, **options) as client:
        yield client


@contextmanager
def asynchronous(url: str, key: str | None, **options: Any) -> Iterator[Eyeline]:
    """The asynchronous client, in an event loop of its own."""
    with start_blocking_portal() as portal:

        async def make() -> AsyncEyeline:
            return AsyncEyeline(url, key=key, **options)

        client = portal.call(make)
        try:
            yield cast(Eyeline, Blocking(portal, client))
        finally:
            portal.call(client.aclose)


FLAVOURS = {"blocking": blocking, "async": asynchronous}
