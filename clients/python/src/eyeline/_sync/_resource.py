"""What the parts of the client have in common."""

# Made from ``_async`` by scripts/generate.py: change that file.

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from .._types import UNSET
from ._http import Http


class Page(Protocol):
    """An answer that holds a part of a list."""

    @property
    def next_cursor(self) -> str | None:
        """Where the list continues; ``None`` at its end."""


P = TypeVar("P", bound=Page)
T = TypeVar("T")


class Resource:
    """Methods about one kind of thing."""

    def __init__(self, http: Http) -> None:
        self._http = http


class Items(Generic[P, T]):
    """A list of the API, fetched page by page while it is iterated.

    Iterating yields items over all pages. :meth:`pages` yields whole pages, :meth:`page` returns the first one.
    """

    def __init__(
        self, fetch: Callable[[dict[str, Any]], P], items: Callable[[P], Sequence[T]], query: dict[str, Any]
    ) -> None:
        self._fetch = fetch
        self._items = items
        self._query = query

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            for item in self._items(page):
                yield item

    def pages(self) -> Iterator[P]:
        """Yields page after page. A page may be empty although others follow."""
        page = self.page()
        yield page
        while page.next_cursor is not None:
            # A cursor excludes a page number.
            page = self._fetch({**self._query, "page": None, "cursor": page.next_cursor})
            yield page

    def page(self) -> P:
        """Returns the first page, or the one that ``cursor`` or ``page`` names."""
        return self._fetch(self._query)


def given(**fields: object) -> dict[str, object]:
    """The fields of a body without those that were not given."""
    return {name: value for name, value in fields.items() if value is not UNSET}


def present(**fields: object) -> dict[str, object]:
    """The fields of a body without those that are ``None``."""
    return {name: value for name, value in fields.items() if value is not None}
