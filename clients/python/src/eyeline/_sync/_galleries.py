"""Galleries: create, fill, read in their order, explain."""

# Made from ``_async`` by scripts/generate.py: change that file.

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import models
from .._decode import encode
from .._files import BLOCK_BYTES, Source
from .._types import UNSET, Id, Tier, Unset, Visibility
from ._resource import Items, Resource, given, present

DATASET_TYPES = {
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
}
LOAD_SECONDS = 300.0
"""Of silence, while a large dataset is stored."""


class Galleries(Resource):
    """``client.galleries``"""

    def create(
        self,
        project_id: Id,
        name: str,
        *,
        ranking: Mapping[str, Any] | None = None,
        page_size: int | None = None,
        visibility: Visibility | None = None,
        access_tier: Tier | None = None,
        page: Mapping[str, bool] | None = None,
        idempotency_key: str | None = None,
    ) -> models.Gallery:
        """Creates a gallery.

        Args:
            project_id: The project.
            name: A name for people.
            ranking: Its order: ``strategy``, ``view_weight``, ``click_weight``, ``half_life``, ``guard``,
                ``holdout_percent``, ``holdout_control``.
            page_size: Items of a page: 20 by default, at most 100.
            visibility: ``public`` by default.
            access_tier: The lowest tier whose users see it; ``free`` by default.
            page: Its public page: ``enabled``, ``indexed``.
            idempotency_key: A key of your own.

        Raises:
            ApiError: 400 with ``errors``, or 404 for an unknown project.
        """
        body = present(
            project_id=project_id,
            name=name,
            ranking=ranking,
            page_size=page_size,
            visibility=visibility,
            access_tier=access_tier,
            page=page,
        )
        return self._http.call("create_gallery", models.Gallery, json_body=body, idempotency_key=idempotency_key)

    def list(
        self, *, project_id: Id | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Items[models.GalleryList, models.Gallery]:
        """Lists the galleries of a project, the newest first. The admin key has to name the project."""
        return Items(
            lambda query: self._http.call("list_galleries", models.GalleryList, query=query),
            lambda page: page.galleries,
            {"project_id": project_id, "limit": limit, "cursor": cursor},
        )

    def get(self, gallery_id: Id) -> models.Gallery:
        """Returns a gallery. Raises :class:`ApiError` 404 if it is not there or belongs to another project."""
        return self._http.call("get_gallery", models.Gallery, path={"gallery_id": gallery_id})

    def update(
        self,
        gallery_id: Id,
        *,
        name: str | Unset = UNSET,
        ranking: Mapping[str, Any] | Unset = UNSET,
        page_size: int | Unset = UNSET,
        visibility: Visibility | Unset = UNSET,
        access_tier: Tier | Unset = UNSET,
        page: Mapping[str, bool] | Unset = UNSET,
    ) -> models.Gallery:
        """Changes only the given fields; within ``ranking`` and ``page`` too."""
        body = given(
            name=name,
            ranking=ranking,
            page_size=page_size,
            visibility=visibility,
            access_tier=access_tier,
            page=page,
        )
        return self._http.call("update_gallery", models.Gallery, path={"gallery_id": gallery_id}, json_body=body)

    def delete(self, gallery_id: Id) -> None:
        """Deletes a gallery with its counters and the images of its dataset. Uploaded images stay in their project."""
        self._http.fetch("delete_gallery", path={"gallery_id": gallery_id})

    def load(
        self,
        gallery_id: Id,
        rows: Iterable[Mapping[str, Any]] | str | os.PathLike[str],
        *,
        map_: str | None = None,
        replace: bool | None = None,
        fetch: bool | None = None,
    ) -> models.DatasetLoad:
        """Loads a catalogue into a gallery, as a stream.

        Sending the same rows again is harmless: an ``external_id`` that is known is changed to what its row says.

        Args:
            gallery_id: The gallery.
            rows: Objects with ``external_id`` and ``url``, and optionally ``name``, ``link``, ``created_at``, ``tags``,
                ``width``, ``height``, ``visibility`` and ``access_tier``; at most 1,000,000 of at most 64 KiB.
                Or the path of a ``.json``, ``.ndjson``, ``.jsonl``, ``.csv`` or ``.tsv`` file.
            map_: The fields that columns mean, such as ``title:name,image_link:url``, or a preset such as
                ``google_merchant``.
            replace: True means that this is the whole catalogue: images of earlier loads that it lacks are removed.
            fetch: Only False is accepted: pictures stay at their own addresses.

        Returns:
            How many rows were created, updated, unchanged and rejected; the first 1,000 rejected ones with ``errors``.

        Raises:
            ApiError: 400 for a body that is no table, 404 for an unknown gallery.
        """
        kind, content, repeatable = _dataset(rows)
        return self._http.call(
            "load_dataset",
            models.DatasetLoad,
            path={"gallery_id": gallery_id},
            query={"map": map_, "replace": replace, "fetch": fetch},
            content=content,
            headers={"Content-Type": kind},
            repeatable=repeatable,
            timeout=LOAD_SECONDS,
        )

    def images(
        self,
        gallery_id: Id,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        page: int | None = None,
        order: str | None = None,
        order_id: Id | None = None,
        session_id: Id | None = None,
        visitor_id: str | None = None,
    ) -> Items[models.GalleryPage, models.GalleryItem]:
        """Iterates over the images in the order of the gallery, over all pages.

        The cursor continues in the order that it began in, so that no image comes twice and none is missed while the
        order changes. After 15 minutes without a page it continues at the same position of the newest order; then the
        page says ``restarted``.

        Args:
            gallery_id: The gallery.
            limit: Items of a page, 1 to 100; the gallery's ``page_size`` by default.
            cursor: ``next_cursor`` of an earlier page.
            page: A page by its number, from 1.
            order: Another strategy's order.
            order_id: With ``page``: the order that is read.
            session_id: The visitor's session: the same order for all of it.
            visitor_id: The visitor: the same arm of a hold-out in every session.

        Yields:
            Items with ``position``, ``image_id``, ``url``, ``link`` and more; with a key ``weight``, ``views`` and
            ``clicks`` too.

        Raises:
            ApiError: 400 with ``errors``, 403 or 404, when the first page is fetched.
        """
        path = {"gallery_id": gallery_id}
        query = {
            "limit": limit,
            "cursor": cursor,
            "page": page,
            "order": order,
            "order_id": order_id,
            "session_id": session_id,
            "visitor_id": visitor_id,
        }
        return Items(
            lambda asked: self._http.call("list_gallery_images", models.GalleryPage, path=path, query=asked),
            lambda found: found.items,
            query,
        )

    def image(self, gallery_id: Id, image_id: Id) -> models.GalleryItem:
        """Returns one image of the gallery with its position in the newest order."""
        return self._http.call(
            "get_gallery_image", models.GalleryItem, path={"gallery_id": gallery_id, "image_id": image_id}
        )

    def add_image(self, gallery_id: Id, image_id: Id) -> None:
        """Adds an image of the project to the gallery. One that was in it before gets its counters back."""
        self._http.fetch("add_gallery_image", path={"gallery_id": gallery_id, "image_id": image_id})

    def remove_image(self, gallery_id: Id, image_id: Id) -> None:
        """Removes an image from the gallery. Its counters are kept, hidden, until it is added again."""
        self._http.fetch("remove_gallery_image", path={"gallery_id": gallery_id, "image_id": image_id})

    def preview(self, gallery_id: Id, image_id: Id) -> bytes:
        """Returns the bytes of the smallest version; a picture of a dataset is fetched from its own address."""
        path = {"gallery_id": gallery_id, "image_id": image_id}
        return (self._http.fetch("get_gallery_image_preview", path=path)).content

    def why(
        self,
        gallery_id: Id,
        image_id: Id,
        *,
        order: str | None = None,
        session_id: Id | None = None,
        visitor_id: str | None = None,
    ) -> models.RankExplanation:
        """Explains the rank of an image: its counters, its score, and the rules that moved it."""
        return self._http.call(
            "explain_rank",
            models.RankExplanation,
            path={"gallery_id": gallery_id, "image_id": image_id},
            query={"order": order, "session_id": session_id, "visitor_id": visitor_id},
        )

    def refresh(self, gallery_id: Id) -> models.RefreshedOrder:
        """Returns once every event that was accepted before is counted and a new order is published."""
        return self._http.call("refresh_gallery", models.RefreshedOrder, path={"gallery_id": gallery_id})

    def changes(
        self, gallery_id: Id, *, limit: int | None = None, cursor: str | None = None
    ) -> Items[models.GalleryChanges, models.PastChange]:
        """Lists when the settings of the ranking and the rules changed, the newest first. The newest 1,000 are kept."""
        return Items(
            lambda query: self._http.call(
                "list_gallery_changes", models.GalleryChanges, path={"gallery_id": gallery_id}, query=query
            ),
            lambda page: page.changes,
            {"limit": limit, "cursor": cursor},
        )

    def experiment(self, gallery_id: Id) -> models.Experiment:
        """Returns the figures of the hold-out. Without enough data ``lift`` is ``None``, and ``message`` says why."""
        return self._http.call("get_experiment", models.Experiment, path={"gallery_id": gallery_id})

    def estimate(self, gallery_id: Id, *, order: str | None = None) -> models.OrderEstimate:
        """Estimates what another strategy would bring, ``interest`` by default, before any visitor sees it."""
        return self._http.call(
            "estimate_order", models.OrderEstimate, path={"gallery_id": gallery_id}, query={"order": order}
        )

    def rules(self, gallery_id: Id) -> models.StoredGalleryRules:
        """Returns the owner's rules: exclusions, boosts, a cap of groups, pins, and the manual order."""
        return self._http.call("get_gallery_rules", models.StoredGalleryRules, path={"gallery_id": gallery_id})

    def set_rules(
        self,
        gallery_id: Id,
        *,
        exclude: Sequence[Mapping[str, Any]] = (),
        boost: Sequence[Mapping[str, Any]] = (),
        group_cap: Mapping[str, Any] | None = None,
        pin: Sequence[Mapping[str, Any]] = (),
        manual: Sequence[Mapping[str, Any]] = (),
    ) -> models.StoredGalleryRules:
        """Replaces all rules. Each names its images by one of ``image_id``, ``external_id`` and ``tag``.

        Args:
            gallery_id: The gallery.
            exclude: Images that are not shown.
            boost: Images whose score is multiplied by ``factor``, 0.1 to 10.
            group_cap: ``tag_prefix``, ``max`` and ``within``: how many images of a group may stand close together.
            pin: Images with a fixed ``position``, from 1.
            manual: The order of the strategy ``manual``.

        Raises:
            ApiError: 400 with ``errors`` by rule, such as ``pin.0.position``.
        """
        body = present(exclude=exclude, boost=boost, group_cap=group_cap, pin=pin, manual=manual)
        return self._http.call(
            "set_gallery_rules", models.StoredGalleryRules, path={"gallery_id": gallery_id}, json_body=body
        )

    def delete_rules(self, gallery_id: Id) -> None:
        """Removes all rules of the gallery."""
        self._http.fetch("delete_gallery_rules", path={"gallery_id": gallery_id})


def _dataset(
    rows: Iterable[Mapping[str, Any]] | str | os.PathLike[str],
) -> tuple[str, Callable[[], Iterator[bytes]], bool]:
    """The media type of a dataset, a function that yields its bytes, and whether it can do so twice."""
    if isinstance(rows, (str, os.PathLike)):
        kind = DATASET_TYPES.get(Path(rows).suffix.lower())
        if kind is None:
            raise ValueError(f"{os.fspath(rows)} has to end in one of {', '.join(DATASET_TYPES)}.")
        return kind, Source(rows).blocks, True
    return DATASET_TYPES[".ndjson"], lambda: _lines(rows), isinstance(rows, Sequence)


def _lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    block = bytearray()
    for row in rows:
        block += json.dumps(encode(row), separators=(",", ":"), allow_nan=False).encode() + b"\n"
        if len(block) >= BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
