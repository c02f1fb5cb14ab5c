"""What the parts of the client have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from .._types import UNSET
from ._http import AsyncHttp


class Page(Protocol):
    """An answer that holds a part of a list."""

    @property
    def next_cursor(self) -> str | None:
        """Where the list continues; ``None`` at its end."""


P = TypeVar("P", bound=Page)
T = TypeVar("T")


class AsyncResource:
    """Methods about one kind of thing."""

    def __init__(self, http: AsyncHttp) -> None:
        self._http = http


class AsyncItems(Generic[P, T]):
    """A list of the API, fetched page by page while it is iterated.

    Iterating yields items over all pages. :meth:`pages` yields whole pages, :meth:`page` returns the first one.
    """

    def __init__(
        self, fetch: Callable[[dict[str, Any]], Awaitable[P]], items: Callable[[P], Sequence[T]], query: dict[str, Any]
    ) -> None:
        self._fetch = fetch
        self._items = items
        self._query = query

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in self._items(page):
                yield item

    async def pages(self) -> AsyncIterator[P]:
        """Yields page after page. A page may be empty although others follow."""
        page = await self.page()
        yield page
        while page.next_cursor is not None:
            # A cursor excludes a page number.
            page = await self._fetch({**self._query, "page": None, "cursor": page.next_cursor})
            yield page

    async def page(self) -> P:
        """Returns the first page, or the one that ``cursor`` or ``page`` names."""
        return await self._fetch(self._query)


def given(**fields: object) -> dict[str, object]:
    """The fields of a body without those that were not given."""
    return {name: value for name, value in fields.items() if value is not UNSET}


def present(**fields: object) -> dict[str, object]:
    """The fields of a body without those that are ``None``."""
    return {name: value for name, value in fields.items() if value is not None}
