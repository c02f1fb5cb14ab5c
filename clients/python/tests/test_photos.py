"""Uploads: one at a time, many at once, broken ones among them, and breaks on the way."""

from __future__ import annotations

import hashlib
import io
import random
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest
from conftest import Server, Tenant
from doubles import Answer, Request, double
from PIL import Image as Picture

from eyeline import ApiError, AsyncEyeline, Eyeline, ImageError, UploadInterrupted, UploadOutcome

PHOTOS = 1_000
BROKEN_EVERY = 20


def jpeg(seed: int, size: tuple[int, int] = (48, 36)) -> bytes:
    """A small photo that is like no other."""
    noise = random.Random(seed).randbytes(size[0] * size[1] * 3)
    file = io.BytesIO()
    Picture.frombytes("RGB", size, noise).save(file, "JPEG", quality=60)
    return file.getvalue()


def broken(seed: int) -> bytes:
    """A file that says to be a photo and is none, in one of several ways."""
    whole = jpeg(seed)
    ways = [
        whole[: len(whole) // 2],
        whole[:-40],
        b"\xff\xd8\xff\xe0" + random.Random(seed).randbytes(500),
        f"<html>{seed}</html>".encode(),
    ]
    return ways[(seed // BROKEN_EVERY) % len(ways)]


def photos(folder: Path) -> tuple[list[Path], set[str]]:
    """A thousand photos of which every twentieth is broken."""
    paths, bad = [], set()
    for number in range(PHOTOS):
        path = folder / f"{number:04}.jpg"
        if number % BROKEN_EVERY == 7:
            bad.add(path.name)
            path.write_bytes(broken(number))
        else:
            path.write_bytes(jpeg(number))
        paths.append(path)
    return paths, bad


def test_a_thousand_photos_of_which_some_are_broken_each_get_a_verdict(tenant: Tenant, tmp_path: Path) -> None:
    paths, bad = photos(tmp_path)
    told: list[tuple[int, int]] = []
    with Eyeline(tenant.url, key=tenant.secret_key) as client:
        gallery = client.galleries.create(tenant.project_id, "photos")
        outcomes = client.images.upload_many(
            tmp_path,
            project_id=tenant.project_id,
            gallery_id=gallery.gallery_id,
            tags=["import"],
            concurrency=8,
            progress=lambda sent, total: told.append((sent, total)),
        )
        assert [outcome.source for outcome in outcomes] == paths
        assert {outcome.filename for outcome in outcomes if outcome.verdict == "error"} == bad
        assert Counter(outcome.verdict for outcome in outcomes) == {"done": PHOTOS - len(bad), "error": len(bad)}
        assert all(outcome.detail for outcome in outcomes if outcome.verdict == "error")
        assert all(outcome.ok == (outcome.verdict == "done") for outcome in outcomes)
        size = sum(path.stat().st_size for path in paths)
        assert max(told) == told[-1] == (size, size)

        client.galleries.refresh(gallery.gallery_id)
        shown = {item.image_id for item in client.galleries.images(gallery.gallery_id, limit=100)}
        assert shown == {outcome.image_id for outcome in outcomes if outcome.verdict == "done"}
        image = client.images.get(outcomes[0].image_id or "")
        assert (image.sha256, image.tags) == (hashlib.sha256(paths[0].read_bytes()).hexdigest(), ["import"])

        # Again: what is there is not sent; what was broken is tried, and is still broken.
        again = client.images.upload_many(paths[:60], project_id=tenant.project_id)
        expected = ["error" if path.name in bad else "duplicate" for path in paths[:60]]
        assert [outcome.verdict for outcome in again] == expected
        assert again[0].image_id == outcomes[0].image_id


def many(flavour: str, tenant: Tenant, files: Any, **options: Any) -> list[UploadOutcome]:
    """Uploads with either client."""
    if flavour == "blocking":
        with Eyeline(tenant.url, key=tenant.secret_key) as client:
            return list(client.images.upload_many(files, project_id=tenant.project_id, **options))

    async def run() -> list[UploadOutcome]:
        async with AsyncEyeline(tenant.url, key=tenant.secret_key) as client:
            return list(await client.images.upload_many(files, project_id=tenant.project_id, **options))

    return anyio.run(run)


flavours = pytest.mark.parametrize("flavour", ["blocking", "async"])


@flavours
def test_each_file_of_a_list_gets_its_own_verdict(flavour: str, tenant: Tenant, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg(1))
    (tmp_path / "notes.txt").write_bytes(b"no photo")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "broken.jpg").write_bytes(broken(7))
    named = io.BytesIO(jpeg(2))
    files = [
        tmp_path / "photo.jpg",
        tmp_path / "none.jpg",
        tmp_path / "notes.txt",
        tmp_path / "empty.jpg",
        tmp_path / "broken.jpg",
        jpeg(3),
        named,
        jpeg(1),
    ]
    outcomes = many(flavour, tenant, files)
    verdicts = [outcome.verdict for outcome in outcomes]
    assert verdicts == ["done", "unreadable", "error", "invalid", "error", "done", "done", "repeated"], outcomes
    assert all(outcome.detail for outcome in outcomes if not outcome.ok)
    assert outcomes[3].errors
    assert outcomes[7].image_id == outcomes[0].image_id
    assert many(flavour, tenant, []) == []
    (unfinished,) = many(flavour, tenant, [jpeg(4)], wait=False)
    assert (unfinished.verdict, unfinished.ok) == ("uploaded", True)
    with pytest.raises(ApiError) as caught:
        many(flavour, tenant, [jpeg(5)], gallery_id="00000000-0000-7000-8000-000000000000")
    assert caught.value.status == 404


def test_one_upload_tells_its_progress_and_is_waited_for(client: Eyeline, tenant: Tenant) -> None:
    told: list[tuple[int, int]] = []
    content = jpeg(11, (1000, 800))
    uploaded = client.images.upload(
        content,
        filename="hello.jpg",
        project_id=tenant.project_id,
        progress=lambda sent, total: told.append((sent, total)),
        metadata={"shot": 1},
        link="https://shop.example/p/1",
    )
    assert (uploaded.filename, uploaded.project_id) == ("hello.jpg", tenant.project_id)
    assert told[-1] == (len(content), len(content))
    assert len(told) > 1
    image = uploaded.wait()
    assert (image.state, image.width, image.height, image.bytes) == ("done", 1000, 800, len(content))
    assert (image.metadata, image.link) == ({"shot": 1}, "https://shop.example/p/1")
    assert client.images.wait(image.image_id).image_id == image.image_id
    with pytest.raises(ImageError, match="failed") as caught:
        client.images.upload(broken(7), project_id=tenant.project_id).wait()
    assert caught.value.image.state == "error"


def test_the_same_key_makes_one_image(client: Eyeline, tenant: Tenant) -> None:
    made = [client.images.upload(jpeg(12), project_id=tenant.project_id, idempotency_key="photo-12") for _ in range(2)]
    assert made[0].image_id == made[1].image_id


def test_a_file_of_unknown_size_goes_through_a_form(client: Eyeline, tenant: Tenant) -> None:
    link = client.images.create("form.jpg", project_id=tenant.project_id)
    assert link.params.method == "POST"
    told: list[tuple[int, int]] = []
    client.images.send(link, jpeg(13), progress=lambda sent, total: told.append((sent, total))).wait()
    assert told


def test_an_upload_that_broke_off_continues(tenant: Tenant, server: Server) -> None:
    content = jpeg(14)
    with Eyeline(tenant.url, key=tenant.secret_key) as client:
        digest = hashlib.sha256(content).hexdigest()
        link = client.images.create("a.jpg", project_id=tenant.project_id, size=len(content), sha256=digest)
    # The answer to the first PUT is lost, and so are all others until the client gives up.
    forwarded = []

    def lose(request: Request) -> Answer:
        forwarded.append(request)
        return Answer(None)

    with double(lose) as way:
        detour = type(link)(**{**vars(link), "upload_link": way.url + "/incoming"})
        with Eyeline(tenant.url, key=tenant.secret_key, retry_for=0.5) as client:
            with pytest.raises(UploadInterrupted, match=link.image_id) as caught:
                client.images.send(detour, content)
    assert caught.value.link is detour
    assert forwarded[0].body == content
    with Eyeline(tenant.url, key=tenant.secret_key) as client:
        assert client.images.send(link, content).wait().state == "done"
        # What has arrived is not sent again, and saying so again is harmless.
        assert client.images.send(link, content).wait().state == "done"


def test_many_uploads_that_broke_off_continue_with_new_links(tenant: Tenant) -> None:
    files = [jpeg(number) for number in range(20, 26)]
    described = [
        {"filename": "upload", "size": len(file), "sha256": hashlib.sha256(file).hexdigest()} for file in files
    ]
    with Eyeline(tenant.url, key=tenant.secret_key) as client:
        # A process that died after it had asked for the links.
        client.images.create_many(described, project_id=tenant.project_id)
    assert {outcome.verdict for outcome in many("blocking", tenant, files)} == {"done"}
    assert {outcome.verdict for outcome in many("blocking", tenant, files)} == {"duplicate"}


PART = 8 * 1024 * 1024


def test_a_large_file_is_sent_in_parts_and_continues_after_a_break(client: Eyeline, tenant: Tenant) -> None:
    content = jpeg(30) + bytes(2 * PART)
    digest = hashlib.sha256(content).hexdigest()
    link = client.images.create(
        "large.jpg", project_id=tenant.project_id, size=len(content), sha256=digest, multipart=True
    )
    assert (link.params.method, link.params.part_bytes) == ("PARTS", PART)
    with pytest.raises(ApiError, match="3 of 3 parts") as caught:
        client.images.complete(link.image_id)
    assert caught.value.status == 409

    # A process that died after it had sent the second part.
    (part,) = client.images.part_links(link.image_id, [2]).parts
    sent = urllib.request.Request(part.upload_link, content[PART : 2 * PART], dict(part.headers), method="PUT")
    urllib.request.urlopen(sent, timeout=60).close()
    assert client.images.part_links(link.image_id).received == [2]

    told: list[tuple[int, int]] = []
    image = client.images.send(link, content, progress=lambda sent, total: told.append((sent, total))).wait()
    assert (image.state, image.sha256, image.bytes) == ("done", digest, len(content))
    assert (told[0], told[-1]) == ((PART, len(content)), (len(content), len(content)))
    assert client.images.send(link, content).wait().state == "done", "what has arrived is not sent again"


@flavours
def test_files_above_16_mib_are_sent_in_parts(flavour: str, tenant: Tenant) -> None:
    files = [jpeg(31 if flavour == "blocking" else 32) + bytes(2 * PART), jpeg(33 if flavour == "blocking" else 34)]
    told: list[tuple[int, int]] = []
    outcomes = many(flavour, tenant, files, progress=lambda sent, total: told.append((sent, total)))
    assert [outcome.verdict for outcome in outcomes] == ["done", "done"], outcomes
    size = sum(map(len, files))
    assert max(told) == told[-1] == (size, size)
