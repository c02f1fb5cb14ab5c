"""Images: links, files, states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import models
from .._decode import decode, encode
from .._errors import ApiError, EyelineError, ImageError, NetworkError, UploadInterrupted, WaitTimeout
from .._files import Counter, Source
from .._types import UNSET, FileSource, Id, Progress, Tier, Unset, Visibility
from .._uploads import PARTS_ABOVE, Sending, UploadOutcome, file_of_batch, sources_of
from . import _runtime
from ._resource import AsyncItems, AsyncResource, given, present
from ._waiting import AsyncWaiter

BATCH_FILES = 500
"""Links of one call, at the most."""
PARTS_AT_ONCE = 3
PARTS_PER_CALL = 20
"""Links to parts of one call. They live 15 minutes."""
WAIT = 300.0
"""Seconds that images are waited for, unless the caller says otherwise."""


class AsyncUploadedImage(models.Image):
    """An image whose file has been sent. Its attributes are those of the moment; :meth:`wait` returns the result."""

    _images: AsyncImages

    async def wait(self, timeout: float = WAIT) -> models.Image:
        """Waits until the image is ``done`` and returns it with the links of its versions.

        Raises:
            ImageError: The file is no picture that can be decoded; ``error.image.error`` says why.
            WaitTimeout: It was not done within ``timeout`` seconds.
        """
        return await self._images.wait(self, timeout=timeout)


class AsyncImages(AsyncResource):
    """``client.images``"""

    async def limits(self, *, project_id: Id | None = None) -> models.Limits:
        """Returns what may be sent with this credential: bytes of a file, number of images, types, files of a batch."""
        return await self._http.call("get_limits", models.Limits, query={"project_id": project_id})

    async def upload(
        self,
        source: FileSource,
        *,
        project_id: Id,
        gallery_id: Id | None = None,
        filename: str | None = None,
        content_type: str | None = None,
        visibility: Visibility | None = None,
        access_tier: Tier | None = None,
        tags: Sequence[str] | None = None,
        link: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncUploadedImage:
        """Uploads one file: asks for a link, sends the bytes, reports that they were sent.

        Broken connections are waited out as long as the client's ``retry_for``. A file above 16 MiB is sent in parts;
        after a break only the missing ones are sent. The versions are made afterwards;
        ``(await client.images.upload(…)).wait()`` waits for them.

        Args:
            source: A path, bytes, or an open binary file.
            project_id: The project that the image belongs to.
            gallery_id: The gallery that it joins once it is done.
            filename: Its name; that of the path by default.
            content_type: Its media type. The server detects it from the bytes.
            visibility: ``public`` by default.
            access_tier: The lowest tier whose users see it; ``free`` by default.
            tags: Words to find it by.
            link: A page to go to from the image.
            metadata: Anything of yours, as a JSON object.
            progress: Called with bytes sent and bytes in all.
            idempotency_key: A key of your own: the same file under it makes one image, within a day.

        Raises:
            ApiError: 400 with ``errors``, 404 for an unknown project or gallery, 413 too large, 415 no picture,
                422 over quota.
            UploadInterrupted: The bytes did not arrive; :meth:`send` continues.
            OSError: The file cannot be read.
        """
        file = Source(source, filename)
        sha256 = await _runtime.in_thread(file.sha256)
        created = await self.create(
            file.filename,
            project_id=project_id,
            size=file.size,
            sha256=sha256,
            multipart=file.size > PARTS_ABOVE or None,
            content_type=content_type,
            gallery_id=gallery_id,
            visibility=visibility,
            access_tier=access_tier,
            tags=tags,
            link=link,
            metadata=metadata,
            idempotency_key=idempotency_key,
        )
        return await self.send(created, source, progress=progress)

    async def send(
        self, link: models.UploadLink, source: FileSource, *, progress: Progress | None = None
    ) -> AsyncUploadedImage:
        """Sends a file through a link of :meth:`create`, or continues to send it, and says that it was sent.

        Calling it again after a break sends what is missing; a file that has arrived, or a part of one, is not sent
        twice.

        Raises:
            ApiError: 403 for an expired link, 413 or 422 for another file than was promised.
            UploadInterrupted: The bytes did not arrive.
        """
        file = Source(source)
        await self._deliver(link, file, Counter(file.size, progress))
        image = await self.get(link.image_id)
        uploaded = AsyncUploadedImage(**vars(image))
        uploaded._images = self
        return uploaded

    async def upload_many(
        self,
        files: FileSource | Iterable[FileSource],
        *,
        project_id: Id,
        gallery_id: Id | None = None,
        visibility: Visibility | None = None,
        access_tier: Tier | None = None,
        tags: Sequence[str] | None = None,
        concurrency: int = 4,
        wait: bool = True,
        timeout: float = 3600.0,
        progress: Progress | None = None,
    ) -> Sequence[UploadOutcome]:
        """Uploads many files, several concurrently, and returns the outcome of each.

        A file that the project has already is not sent: running an interrupted call again sends the rest.
        One that is broken, too large or unreadable does not stop the others.

        Args:
            files: A folder (its pictures, and those of the folders in it), or paths, bytes and open files.
            project_id: The project that the images belong to.
            gallery_id: The gallery that they join.
            visibility: ``public`` by default.
            access_tier: The lowest tier whose users see them.
            tags: Words to find them by.
            concurrency: Files that are sent concurrently.
            wait: Whether to wait until the versions are made; otherwise a file that was sent is ``uploaded``.
            timeout: Seconds to wait for the versions.
            progress: Called with bytes sent and bytes in all, of the files that are sent.

        Returns:
            A verdict for each file, in their order.

        Raises:
            ApiError: The whole call was refused, for example 404 for an unknown project.
            NetworkError: The server is unreachable.
        """
        verdicts = [UploadOutcome(source=source, filename="") for source in sources_of(files)]
        sendings = await _runtime.each(self._prepare, verdicts, concurrency)
        readable = [sending for sending in sendings if sending is not None]
        sent: dict[str, UploadOutcome] = {}

        def settled(image_id: str, state: str, reason: str | None) -> None:
            sent[image_id].verdict, sent[image_id].detail = state, reason or ""

        waiter = AsyncWaiter(self._http, str(project_id), settled)
        since = await waiter.position() if wait and readable else None
        counter = Counter(sum(sending.source.size for sending in readable), progress)
        common = present(
            project_id=str(project_id),
            gallery_id=gallery_id,
            visibility=visibility,
            access_tier=access_tier,
            tags=tags,
        )
        for start in range(0, len(readable), BATCH_FILES):
            batch = readable[start : start + BATCH_FILES]
            body = {**common, "files": [file_of_batch(sending.source) for sending in batch]}
            answer = await self._http.call("create_images", models.UploadLinks, json_body=body)
            pairs = list(zip(batch, answer.images, strict=True))
            await _runtime.each(lambda pair: self._send_one(pair[0], pair[1], common, counter), pairs, concurrency)
        for verdict in verdicts:
            if verdict.verdict == "uploaded" and verdict.image_id is not None:
                sent[verdict.image_id] = verdict
        if wait:
            try:
                await waiter.wait(sent, since, timeout)
            except WaitTimeout:
                for verdict in sent.values():
                    if verdict.verdict == "uploaded":
                        verdict.verdict, verdict.detail = "processing", f"It was not done after {timeout:g} s."
        return verdicts

    async def wait(self, image: models.Image | Id, *, timeout: float = WAIT) -> models.Image:
        """Waits until an image is ``done`` and returns it with the links of its versions.

        The stream of the project tells when; where it cannot be read, the image is looked at again and again.

        Raises:
            ImageError: The image ended in the state ``error``.
            WaitTimeout: It was not done within ``timeout`` seconds.
            ApiError: 404 if it is not there.
        """
        known = image if isinstance(image, models.Image) else await self.get(image)
        waiter = AsyncWaiter(self._http, known.project_id, lambda image_id, state, reason: None)
        await waiter.wait([known.image_id], None, timeout)
        final = await self.get(known.image_id)
        if final.state == "error":
            raise ImageError(final)
        return final

    async def create(
        self,
        filename: str,
        *,
        project_id: Id,
        size: int | None = None,
        sha256: str | None = None,
        multipart: bool | None = None,
        content_type: str | None = None,
        gallery_id: Id | None = None,
        visibility: Visibility | None = None,
        access_tier: Tier | None = None,
        tags: Sequence[str] | None = None,
        link: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> models.UploadLink:
        """Makes an image in the state ``init`` and a link to send its file through, without sending it.

        The link lives 15 minutes. Give it to whoever has the file, or pass it to :meth:`send`. With ``multipart`` the
        file is sent in parts, see :meth:`part_links`; that needs a ``size`` of at least 8 MiB.

        Raises:
            ApiError: 400 with ``errors``, 404 for an unknown project, 413 too large, 415 no picture, 422 over quota.
        """
        body = present(
            filename=filename,
            project_id=project_id,
            size=size,
            sha256=sha256,
            multipart=multipart,
            content_type=content_type,
            gallery_id=gallery_id,
            visibility=visibility,
            access_tier=access_tier,
            tags=tags,
            link=link,
            metadata=metadata,
        )
        return await self._http.call("create_image", models.UploadLink, json_body=body, idempotency_key=idempotency_key)

    async def create_many(
        self,
        files: Sequence[Mapping[str, Any]],
        *,
        project_id: Id,
        gallery_id: Id | None = None,
        visibility: Visibility | None = None,
        access_tier: Tier | None = None,
        tags: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> models.UploadLinks:
        """Creates up to 500 links in one call. Each file gets its own verdict before a byte of it moves.

        Args:
            files: Objects with the arguments of :meth:`create`: ``filename``, ``size``, ``sha256`` and so on.
            project_id: The project that the images belong to.
            gallery_id: For files that name none; so are the next three.
            visibility: ``public`` by default.
            access_tier: The lowest tier whose users see them.
            tags: Words to find them by.
            idempotency_key: A key of your own.

        Raises:
            ApiError: 400 with ``errors`` for the call as a whole, 404 for an unknown project.
        """
        body = present(
            project_id=project_id,
            files=files,
            gallery_id=gallery_id,
            visibility=visibility,
            access_tier=access_tier,
            tags=tags,
        )
        return await self._http.call(
            "create_images", models.UploadLinks, json_body=body, idempotency_key=idempotency_key
        )

    async def part_links(self, image_id: Id, numbers: Sequence[int] = ()) -> models.PartLinks:
        """Returns links to parts of a file, at most 1,000, and the numbers of the parts that have arrived.

        :meth:`send` does this for you. The first part has the number 1; without numbers the answer only says what has
        arrived. It may be called again and again, also to continue after a break.

        Raises:
            ApiError: 409 if the image waits for no parts: its file has arrived, or its upload has ended.
        """
        body = {"numbers": list(numbers)}
        return await self._http.call("create_part_links", models.PartLinks, path={"image_id": image_id}, json_body=body)

    async def complete(self, image_id: Id) -> models.ImageStateAnswer:
        """Reports that the file, or all its parts, were sent. Raises :class:`ApiError` 409 if something is missing."""
        return await self._http.call("complete_image", models.ImageStateAnswer, path={"image_id": image_id})

    async def get(self, image_id: Id) -> models.Image:
        """Returns an image. Raises :class:`ApiError` 404 if it is not there or belongs to another project."""
        return await self._http.call("get_image", models.Image, path={"image_id": image_id})

    def list(
        self,
        project_id: Id,
        *,
        state: str | None = None,
        tag: str | None = None,
        name: str | None = None,
        gallery_id: Id | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> AsyncItems[models.ImageList, models.Image]:
        """Lists the images of a project, the newest first; also by state, tag, a part of the name, or gallery."""
        path = {"project_id": project_id}
        return AsyncItems(
            lambda query: self._http.call("list_images", models.ImageList, path=path, query=query),
            lambda page: page.images,
            {"state": state, "tag": tag, "name": name, "gallery_id": gallery_id, "limit": limit, "cursor": cursor},
        )

    async def update(
        self,
        image_id: Id,
        *,
        name: str | Unset | None = UNSET,
        tags: Sequence[str] | Unset = UNSET,
        link: str | Unset | None = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
        visibility: Visibility | Unset = UNSET,
        access_tier: Tier | Unset = UNSET,
    ) -> models.Image:
        """Changes only the given fields; ``link=None`` removes the link, ``name=None`` the name.

        A change of ``visibility`` or ``access_tier`` gives versions new addresses; the old ones stop working.
        """
        body = given(name=name, tags=tags, link=link, metadata=metadata, visibility=visibility, access_tier=access_tier)
        return await self._http.call("update_image", models.Image, path={"image_id": image_id}, json_body=body)

    async def delete(self, image_id: Id) -> None:
        """Deletes an image with its original and versions. Events about it stay."""
        await self._http.fetch("delete_image", path={"image_id": image_id})

    async def reprocess(self, image_id: Id) -> models.ImageStateAnswer:
        """Makes the versions again from the original."""
        return await self._http.call("reprocess_image", models.ImageStateAnswer, path={"image_id": image_id})

    async def _prepare(self, verdict: UploadOutcome) -> Sending | None:
        """Reads a file once for its size and hash."""
        try:
            source = Source(verdict.source)
            verdict.filename = source.filename
            await _runtime.in_thread(source.sha256)
        except (OSError, ValueError) as error:
            verdict.filename = verdict.filename or str(verdict.source)[:255]
            verdict.verdict, verdict.detail = "unreadable", str(error)
            return None
        return Sending(verdict, source)

    async def _send_one(
        self, sending: Sending, answer: models.UploadVerdict, common: Mapping[str, Any], counter: Counter
    ) -> None:
        verdict = sending.verdict
        try:
            link = await self._link_for(sending, answer, common)
            if link is None:
                counter.add(sending.source.size)
                return
            verdict.image_id = link.image_id
            await self._deliver(link, sending.source, counter)
        except (EyelineError, OSError) as error:
            verdict.verdict, verdict.detail = "interrupted", str(error)

    async def _link_for(
        self, sending: Sending, answer: models.UploadVerdict, common: Mapping[str, Any]
    ) -> models.UploadLink | None:
        """The link to send a file through; ``None`` if it is not to be sent, which its verdict then says."""
        verdict = sending.verdict
        if answer.verdict == "created":
            return decode(models.UploadLink, encode(answer))
        if answer.verdict == "duplicate" and answer.duplicate_of is not None:
            known = await self.get(answer.duplicate_of)
            if known.state == "init":
                # An earlier upload broke off, and its link is not known here: the file gets another one.
                body = {**common, **file_of_batch(sending.source)}
                return await self._http.call("create_image", models.UploadLink, json_body=body)
        verdict.image_id = answer.duplicate_of
        verdict.verdict, verdict.detail = answer.verdict, answer.detail or ""
        verdict.errors = answer.errors or {}
        return None

    async def _deliver(self, link: models.UploadLink, file: Source, counter: Counter) -> None:
        """Sends the bytes and reports that they were sent."""
        try:
            if link.params.method == "PUT":
                await self._put(link.upload_link, link.params.headers, file, counter)
            elif link.params.method == "PARTS":
                await self._put_parts(link.image_id, file, counter)
            else:
                await self._post_form(link, file, counter)
            await self.complete(link.image_id)
        except NetworkError as error:
            raise UploadInterrupted(link, str(error)) from error
        except ApiError as error:
            if error.status < 500 and error.status != 429:
                raise
            raise UploadInterrupted(link, str(error)) from error

    async def _put(
        self,
        url: str,
        headers: Mapping[str, str],
        file: Source,
        counter: Counter,
        start: int = 0,
        length: int | None = None,
    ) -> None:
        """Sends ``length`` bytes of the file from ``start`` on; all of it by default."""
        size = file.size if length is None else length
        content = counter.counted(lambda: file.blocks(start, size))
        # 412: it has arrived before, and only the answer was lost.
        await self._http.send(
            "PUT", url, headers={**headers, "Content-Length": str(size)}, content=content, also_fine=(412,)
        )

    async def _put_parts(self, image_id: str, file: Source, counter: Counter) -> None:
        """Sends the parts that have not arrived."""

        def length(number: int) -> int:
            return min(known.part_bytes, file.size - (number - 1) * known.part_bytes)

        async def put(part: models.PartLink) -> None:
            start = (part.number - 1) * known.part_bytes
            await self._put(part.upload_link, part.headers, file, counter, start, length(part.number))

        try:
            known = await self.part_links(image_id)
            counter.add(sum(length(number) for number in known.received))
            received = frozenset(known.received)
            missing = [number for number in range(1, known.count + 1) if number not in received]
            for first in range(0, len(missing), PARTS_PER_CALL):
                links = await self.part_links(image_id, missing[first : first + PARTS_PER_CALL])
                await _runtime.each(put, links.parts, PARTS_AT_ONCE)
        except ApiError as error:
            # The image waits for no parts: the call that completes it says whether its file has arrived.
            if error.status != 409:
                raise

    async def _post_form(self, link: models.UploadLink, file: Source, counter: Counter) -> None:
        content = await _runtime.in_thread(file.read)
        form = {"data": link.params.fields, "files": {"file": (file.filename, content)}}
        await self._http.send("POST", link.upload_link, headers=link.params.headers, form=form, also_fine=(412,))
        counter.add(file.size)
