"""Every method of both clients against the server."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from conftest import Server, Tenant
from flavours import FLAVOURS
from test_photos import jpeg

from eyeline import UNSET, ApiError, Eyeline, News, WaitTimeout
from eyeline._sql import ARROW

NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(params=sorted(FLAVOURS))
def flavour(request: pytest.FixtureRequest) -> str:
    """Which of the two clients."""
    return str(request.param)


@pytest.fixture
def admin(flavour: str, server: Server) -> Iterator[Eyeline]:
    """A client with the admin key."""
    with FLAVOURS[flavour](server.url, server.admin_key) as client:
        yield client


@pytest.fixture
def ours(flavour: str, tenant: Tenant) -> Iterator[Eyeline]:
    """A client with the secret key of the tenant."""
    with FLAVOURS[flavour](tenant.url, tenant.secret_key) as client:
        yield client


def refused(status: int, field: str | None = None) -> Any:
    """Expects an ApiError with this status, and with sentences for a field."""

    def fits(error: ApiError) -> bool:
        return error.status == status and (field is None or field in error.errors) and bool(error.request_id)

    return pytest.raises(ApiError, check=fits)


def test_projects(admin: Eyeline) -> None:
    made = admin.projects.create("first", tier="premium", idempotency_key=f"key-{uuid4()}")
    assert (made.name, made.tier) == ("first", "premium")
    assert isinstance(made.created_at, datetime)
    assert made.created_at.tzinfo is not None
    assert admin.projects.get(made.project_id) == made
    changed = admin.projects.update(made.project_id, name="second")
    assert (changed.name, changed.tier) == ("second", "premium")
    others = [admin.projects.create(f"p{number}").project_id for number in range(3)]
    listed = [project.project_id for project in admin.projects.list(limit=2)]
    assert listed[:4] == [*reversed(others), made.project_id]
    assert len(listed) == len(set(listed))
    pages = list(admin.projects.list(limit=2).pages())
    assert [len(page.projects) for page in pages[:-1]] == [2] * (len(pages) - 1)
    usage = admin.projects.usage(made.project_id)
    assert (usage.images, usage.bytes, usage.events) == (0, 0, 0)
    admin.projects.delete(made.project_id)
    with refused(404):
        admin.projects.get(made.project_id)
    with refused(400, "name"):
        admin.projects.create("")
    with refused(400, "tier"):
        admin.projects.create("x", tier="golden")  # type: ignore[arg-type]


def test_an_idempotency_key_makes_one_thing(admin: Eyeline) -> None:
    key = f"key-{uuid4()}"
    first = admin.projects.create("once", idempotency_key=key)
    assert admin.projects.create("once", idempotency_key=key).project_id == first.project_id
    with refused(422):
        admin.projects.create("other", idempotency_key=key)


def test_applications(admin: Eyeline, tenant: Tenant) -> None:
    made = admin.applications.create(tenant.project_id, "web", allowed_origins=["https://shop.example"])
    assert made.secret_key
    assert made.secret_key.startswith("eyl_sk_")
    assert made.signing_secret
    assert made.allowed_origins == ["https://shop.example"]
    application_id = made.application_id
    assert admin.applications.get(application_id).name == "web"
    assert admin.applications.update(application_id, name="site").allowed_origins == ["https://shop.example"]
    assert admin.applications.update(application_id, allowed_origins=[]).name == "site"
    listed = {application.application_id for application in admin.applications.list(project_id=tenant.project_id)}
    assert listed == {application_id, tenant.application_id}
    rotated = admin.applications.rotate(application_id, overlap_seconds=60, signing_secret=True)
    assert rotated.secret_key
    assert rotated.secret_key != made.secret_key
    assert rotated.older_keys_until
    admin.applications.delete(application_id)
    with refused(404):
        admin.applications.get(application_id)
    with refused(400, "allowed_origins.0"):
        admin.applications.create(tenant.project_id, "x", allowed_origins=["nowhere"])
    with refused(400, "ed25519_public_key"):
        admin.applications.update(tenant.application_id, ed25519_public_key="short")
    assert admin.applications.update(tenant.application_id, ed25519_public_key=UNSET).ed25519_public_key is None


def test_images(ours: Eyeline, tenant: Tenant) -> None:
    limits = ours.images.limits()
    assert "image/jpeg" in limits.content_types
    assert limits.max_batch_files == 500
    assert ours.images.limits(project_id=tenant.project_id) == limits
    image = ours.images.upload(jpeg(101), project_id=tenant.project_id, filename="a.jpg", tags=["x"]).wait()
    assert (image.state, image.filename, image.tags) == ("done", "a.jpg", ["x"])
    assert image.versions.thumb
    assert image.versions.thumb.startswith("http")
    assert ours.images.get(image.image_id).state == "done"
    assert [found.image_id for found in ours.images.list(tenant.project_id, state="done", tag="x")] == [image.image_id]
    assert list(ours.images.list(tenant.project_id, tag="y")) == []
    assert ours.images.update(image.image_id, name="Boots").name == "Boots"
    changed = ours.images.update(image.image_id, tags=["y"], link="https://shop.example/", metadata={"a": [1]})
    assert (changed.tags, changed.link, changed.metadata) == (["y"], "https://shop.example/", {"a": [1]})
    changed = ours.images.update(image.image_id, link=None, visibility="private", access_tier="premium")
    assert (changed.tags, changed.link, changed.visibility, changed.access_tier) == (["y"], None, "private", "premium")
    assert ours.images.reprocess(image.image_id).image_id == image.image_id
    assert ours.images.wait(image.image_id).state == "done"
    assert ours.images.complete(image.image_id).image_id == image.image_id
    link = ours.images.create("later.jpg", project_id=tenant.project_id)
    with refused(409):
        ours.images.complete(link.image_id)
    with pytest.raises(WaitTimeout, match="not done"):
        ours.images.wait(link.image_id, timeout=0.3)
    links = ours.images.create_many([{"filename": "b.jpg"}, {"filename": ""}], project_id=tenant.project_id).images
    assert [answer.verdict for answer in links] == ["created", "invalid"]
    assert links[1].errors
    assert "filename" in links[1].errors
    ours.images.delete(image.image_id)
    with refused(404):
        ours.images.get(image.image_id)
    with refused(400, "visibility"):
        ours.images.update(link.image_id, visibility="secret")  # type: ignore[arg-type]
    with refused(404):
        ours.images.upload(jpeg(102), project_id=NOBODY)
    with refused(415):
        ours.images.upload(b"text", project_id=tenant.project_id, content_type="text/plain")


def test_waiting_works_without_a_stream_too(flavour: str, ours: Eyeline, tenant: Tenant, server: Server) -> None:
    uploaded = ours.images.upload(jpeg(103), project_id=tenant.project_id)
    # The stream of another project is refused, as it is to a credential that may not listen.
    stranger = server.tenant("stranger")
    with FLAVOURS[flavour](tenant.url, tenant.secret_key) as client:
        image = client.images.get(uploaded.image_id)
        image.project_id = stranger.project_id
        assert client.images.wait(image, timeout=60).state == "done"


def test_uploads_of_a_user(ours: Eyeline, tmp_path: Path) -> None:
    path = tmp_path / "mine.jpg"
    path.write_bytes(jpeg(104))
    image = ours.uploads.create(path, user_id="user-1", tier="premium")
    assert (image.state, image.filename, image.visibility) == ("done", "mine.jpg", "private")
    assert ours.uploads.get(image.image_id).image_id == image.image_id
    second = ours.uploads.create(jpeg(105), user_id="user-1", filename="b.jpg", idempotency_key="k")
    assert ours.uploads.create(jpeg(105), user_id="user-1", filename="b.jpg", idempotency_key="k").image_id == (
        second.image_id
    )
    listed = [found.image_id for found in ours.uploads.list(user_id="user-1", limit=1)]
    assert listed == [second.image_id, image.image_id]
    assert [found.image_id for found in ours.uploads.list(user_id="user-1", page=2, limit=1)] == [image.image_id]
    assert list(ours.uploads.list(user_id="user-2")) == []
    ours.uploads.delete(image.image_id)
    with refused(404):
        ours.uploads.get(image.image_id)
    with refused(400, "user_id"):
        ours.uploads.create(jpeg(106))


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "external_id": f"sku-{number}",
            "url": f"https://cdn.example/{number}.jpg",
            "name": f"Shoe {number}",
            "tags": ["shoes"],
            "created_at": datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=number),
        }
        for number in range(count)
    ]


def test_galleries(ours: Eyeline, tenant: Tenant, tmp_path: Path) -> None:
    gallery = ours.galleries.create(
        tenant.project_id, "shoes", page_size=10, ranking={"strategy": "weight", "click_weight": 5}
    )
    gallery_id = gallery.gallery_id
    assert (gallery.page_size, gallery.ranking.strategy, gallery.ranking.click_weight) == (10, "weight", 5)
    assert ours.galleries.get(gallery_id).name == "shoes"
    changed = ours.galleries.update(gallery_id, name="boots", ranking={"view_weight": 2})
    assert (changed.name, changed.ranking.view_weight, changed.ranking.click_weight) == ("boots", 2, 5)
    assert [found.gallery_id for found in ours.galleries.list()] == [gallery_id]
    assert [found.gallery_id for found in ours.galleries.list(project_id=tenant.project_id)] == [gallery_id]

    loaded = ours.galleries.load(gallery_id, rows(25))
    assert (loaded.created, loaded.updated, loaded.unchanged, loaded.rejected_count) == (25, 0, 0, 0)
    loaded = ours.galleries.load(gallery_id, iter([*rows(25), {"url": "https://cdn.example/x.jpg"}]))
    assert (loaded.unchanged, loaded.rejected_count) == (25, 1)
    assert "external_id" in loaded.rejected[0].errors
    csv = tmp_path / "rows.csv"
    csv.write_text("external_id,url\nsku-csv,https://cdn.example/csv.jpg\n")
    assert ours.galleries.load(gallery_id, csv).created == 1
    with pytest.raises(ValueError, match="csv"):
        ours.galleries.load(gallery_id, tmp_path / "rows.xls")

    refreshed = ours.galleries.refresh(gallery_id)
    items = list(ours.galleries.images(gallery_id))
    assert len(items) == 26
    assert len({item.image_id for item in items}) == 26
    pages = list(ours.galleries.images(gallery_id, limit=12).pages())
    assert [len(page.items) for page in pages] == [12, 12, 2]
    assert pages[0].order_id == refreshed.order_id
    assert [item for page in pages for item in page.items] == items
    second = ours.galleries.images(gallery_id, limit=12, page=2).page()
    assert second.items == pages[1].items
    from_there = ours.galleries.images(gallery_id, limit=12, cursor=pages[0].next_cursor)
    assert [item.image_id for item in from_there] == [item.image_id for item in items[12:]]
    newest = ours.galleries.images(gallery_id, order="newest", session_id=uuid4(), visitor_id="v").page()
    assert newest.items[0].external_id == "sku-csv"

    first = items[0]
    assert ours.galleries.image(gallery_id, first.image_id).image_id == first.image_id
    ours.galleries.remove_image(gallery_id, first.image_id)
    with refused(404):
        ours.galleries.image(gallery_id, first.image_id)
    ours.galleries.add_image(gallery_id, first.image_id)
    ours.galleries.refresh(gallery_id)
    assert ours.galleries.image(gallery_id, first.image_id).image_id == first.image_id
    assert ours.galleries.why(gallery_id, first.image_id)
    assert ours.galleries.estimate(gallery_id, order="interest").enough_data is False

    rules = ours.galleries.set_rules(
        gallery_id,
        exclude=[{"external_id": "sku-1"}],
        boost=[{"tag": "shoes", "factor": 2.0}],
        group_cap={"tag_prefix": "brand:", "max": 2},
        pin=[{"external_id": "sku-20", "position": 1}],
    )
    assert ours.galleries.rules(gallery_id) == rules
    ours.galleries.refresh(gallery_id)
    shown = [item.external_id for item in ours.galleries.images(gallery_id)]
    assert shown[0] == "sku-20"
    assert "sku-1" not in shown
    with refused(400, "pin.0.position"):
        ours.galleries.set_rules(gallery_id, pin=[{"external_id": "sku-2"}])
    ours.galleries.delete_rules(gallery_id)
    ours.galleries.update(gallery_id, ranking={"holdout_percent": 20})
    assert ours.galleries.experiment(gallery_id)
    ranking, *others = ours.galleries.changes(gallery_id)
    assert ranking.ranking is not None
    assert (ranking.ranking.before.holdout_percent, ranking.ranking.after.holdout_percent) == (0, 20)
    assert [(change.rules.added, change.rules.removed) for change in others if change.rules] == [(0, 4), (4, 0)]
    with refused(400, "limit"):
        ours.galleries.images(gallery_id, limit=1000).page()
    ours.galleries.delete(gallery_id)
    with refused(404):
        ours.galleries.get(gallery_id)


def test_a_preview_is_the_picture(ours: Eyeline, tenant: Tenant) -> None:
    gallery = ours.galleries.create(tenant.project_id, "photos")
    uploaded = ours.images.upload(jpeg(107), project_id=tenant.project_id, gallery_id=gallery.gallery_id)
    image = uploaded.wait()
    ours.galleries.refresh(gallery.gallery_id)
    assert ours.galleries.preview(gallery.gallery_id, image.image_id).startswith(b"\xff\xd8\xff")


def test_events(ours: Eyeline, tenant: Tenant) -> None:
    session_id = uuid4()
    event_id = str(uuid4())
    stored = ours.events.create("shop", "buy", {"n": 1}, session_id=session_id, event_id=event_id, visitor_id="v")
    assert (stored.event_id, stored.session_id, stored.data) == (event_id, str(session_id), {"n": 1})
    again = ours.events.create("shop", "other", session_id=session_id, event_id=event_id)
    assert again.name == "buy"
    events = [
        {"category": "shop", "name": "view", "session_id": session_id, "data": {"n": number}} for number in range(1200)
    ]
    old = {**events[0], "timestamp": datetime(2026, 1, 1, tzinfo=timezone.utc), "event_id": event_id}
    late = {**events[0], "timestamp": "2099-01-01T00:00:00Z"}
    answer = ours.events.send([*events, old, late])
    assert (answer.accepted, answer.duplicates, len(answer.rejected)) == (1200, 1, 1)
    assert answer.rejected[0].index == 1201
    assert "timestamp" in answer.rejected[0].errors
    nothing = ours.events.send([late])
    assert (nothing.accepted, [rejected.index for rejected in nothing.rejected]) == (0, [0])
    assert ours.events.send([]).accepted == 0
    buys = list(ours.events.list(name="buy", session_id=session_id, from_=stored.timestamp - timedelta(hours=1)))
    assert [event.event_id for event in buys] == [event_id]
    assert ours.events.list(to=datetime(2020, 1, 1, tzinfo=timezone.utc)).page().events == []
    assert ours.events.list(category="shop", application=tenant.application_id, limit=7).page().next_cursor
    receipt = ours.events.get(event_id).receipt
    assert receipt.status in ("waiting", "counted")
    tracked = ours.events.track("shop", "tracked", session_id=session_id)
    assert ours.flush(30)
    assert tracked
    assert ours.events.get(tracked).name == "tracked"
    assert ours.events.stats.accepted == 1
    with refused(400, "name"):
        ours.events.create("shop", "x" * 300, session_id=session_id)
    with refused(404):
        ours.events.get(NOBODY)


def test_event_types_and_quarantine(ours: Eyeline) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    made = ours.event_types.put("shop", "cart/add", schema=schema, on_invalid="reject", description="To the cart")
    assert (made.version, made.on_invalid, made.schema_ if hasattr(made, "schema_") else schema) == (
        1,
        "reject",
        schema,
    )
    session_id = uuid4()
    with refused(400, "data.n"):
        ours.events.create("shop", "cart/add", {"n": "one"}, session_id=session_id)
    assert ours.event_types.get("shop", "cart/add").description == "To the cart"
    assert ours.event_types.check("shop", "cart/add", {"n": 1}).valid
    refusal = ours.event_types.check("shop", "cart/add", {"n": "one"})
    assert (refusal.valid, list(refusal.errors)) == (False, ["data.n"])
    second = ours.event_types.put("shop", "cart/add", schema={"type": "object", "required": ["m"]})
    assert (second.version, second.on_invalid) == (2, "quarantine")
    assert ours.event_types.get("shop", "cart/add", version=1).version == 1
    assert [found.name for found in ours.event_types.list()] == ["cart/add"]
    with refused(400):
        ours.event_types.put("shop", "cart/add", schema={"type": "thing"})

    event = ours.events.create("shop", "cart/add", {"n": 1}, session_id=session_id)
    until(lambda: list(ours.events.quarantine(category="shop")))
    (kept,) = ours.events.quarantine(name="cart/add", reason="schema")
    assert kept.event_id == event.event_id
    assert "m" in str(kept.errors)
    (cause,) = ours.events.quarantine_causes().causes
    assert (cause.name, cause.events) == ("cart/add", 1)
    assert ours.events.replay_quarantine(dry_run=True).still_failing == 1
    ours.event_types.delete("shop", "cart/add")
    with refused(404):
        ours.event_types.get("shop", "cart/add")
    replayed = ours.events.replay_quarantine(category="shop")
    assert (replayed.replayed, replayed.still_failing, replayed.next_cursor) == (1, 0, None)


def until(condition: Any, seconds: float = 30) -> None:
    """Waits until something is true."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError("what was waited for did not come")


def test_analytics(ours: Eyeline, tenant: Tenant) -> None:
    gallery = ours.galleries.create(tenant.project_id, "shop")
    ours.galleries.load(gallery.gallery_id, rows(2))
    item = ours.galleries.images(gallery.gallery_id).page().items[0]
    day = datetime(2026, 3, 2, 10, tzinfo=timezone.utc)
    names = ["view", "cart", "buy"]
    events = [
        {
            "category": "shop",
            "name": name,
            "session_id": session_id,
            "visitor_id": f"v{visitor}",
            "timestamp": day + timedelta(days=7 * visitor, minutes=minute),
        }
        for visitor, session_id in enumerate([uuid4(), uuid4()])
        for minute, name in enumerate(names[: 3 - visitor])
    ]
    seen = {"category": "gallery", "session_id": uuid4(), "timestamp": day}
    data = {"gallery_id": gallery.gallery_id, "image_id": item.image_id}
    events += [{**seen, "name": "view", "data": data}, {**seen, "name": "click", "data": data}]
    assert ours.events.send(events).accepted == 7
    ours.galleries.refresh(gallery.gallery_id)

    report = ours.analytics.counts(category="shop", interval="month", group_by=["name"])
    assert {row.name: (row.count, row.sessions) for row in report.rows} == {
        "view": (2, 2),
        "cart": (2, 2),
        "buy": (1, 1),
    }
    assert report.rows[0].bucket == datetime(2026, 3, 1, tzinfo=timezone.utc)
    assert report.served_from in ("rollup", "raw")
    (whole,) = ours.analytics.counts(interval="all", from_=day, to=day + timedelta(hours=1), sessions=False).rows
    assert (whole.bucket, whole.count) == (None, 5)
    assert [row.name for row in ours.analytics.features(category="shop", order="least", limit=1).rows] == ["buy"]
    paths = ours.analytics.paths(category="shop", depth=2, anchor="start", start="shop/view", limit=5)
    assert paths.rows[0].count == 2
    assert [step.name for step in paths.rows[0].steps] == ["view", "cart"]
    funnel = ours.analytics.funnel(["shop/view", "shop/cart", "shop/buy"], within="1h")
    assert [row.sessions for row in funnel.rows] == [2, 2, 1]
    begin, end = day - timedelta(days=7), day + timedelta(days=21)
    assert ours.analytics.retention(period="week", category="shop", from_=begin, to=end).rows
    usage = ours.analytics.gallery(gallery.gallery_id, interval="day", limit=5)
    assert (usage.total.views, usage.total.clicks) == (1, 1)
    assert usage.rows[0].image_id == item.image_id
    with refused(400, "to"):
        ours.analytics.counts(from_=day, to=day)
    with refused(400, "steps"):
        ours.analytics.funnel("nonsense")
    with refused(403):
        ours.analytics.counts(project_id=NOBODY) if False else ours.projects.create("mine")


ALL_TYPES = """
SELECT name, count(*) AS events, count(*) > 1 AS many, avg(json_number(data, 'n')) AS mean,
       CAST(1.25 AS DECIMAL(6,2)) AS price, max(timestamp) AS last, CAST(max(timestamp) AS DATE) AS day,
       CAST('10:20:30.5' AS TIME) AS clock, INTERVAL '1 day' AS step, NULL AS nothing, data->'n' AS raw
FROM events GROUP BY name, data ORDER BY events DESC, name
"""


def test_sql(ours: Eyeline, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 3, 2, 10, 0, 0, 123456, tzinfo=timezone.utc)
    events = [
        {"category": "shop", "name": name, "session_id": uuid4(), "timestamp": moment, "data": {"n": 3}}
        for name in ("view", "view", "bü,y")
    ]
    ours.events.send(events)
    until(
        lambda: (
            ours.analytics.counts(interval="all").rows[0:1] and ours.analytics.sql("SELECT 1 AS n FROM events").rows[2:]
        )
    )
    answers = {"arrow": ours.analytics.sql(ALL_TYPES)}
    # The same as if pyarrow were not installed.
    find = importlib.util.find_spec
    with monkeypatch.context() as without:
        without.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else find(name))
        answers["json"] = ours.analytics.sql(ALL_TYPES)
    answered = ours.server.openapi()["paths"]["/api/v1/analytics/sql"]["post"]["responses"]["200"]["content"]
    assert (answers["arrow"]._arrow is not None) == (ARROW in answered)
    assert answers["json"]._arrow is None
    for answer in answers.values():
        first = answer.rows[0]
        assert (first["name"], first["events"], first["many"], first["mean"]) == ("view", 2, True, 3.0)
        assert (first["last"], first["day"], first["price"]) == (moment, moment.date(), 1.25)
        assert (first["nothing"], first["raw"]) == (None, "3")
        assert isinstance(answer.as_of, datetime)
        assert not answer.truncated
        assert len(answer) == 2
        table = answer.to_arrow()
        assert table.column_names == [column.name for column in answer.columns]
        assert table.column("events").to_pylist() == [2, 1]
        frame = answer.to_pandas()
        assert list(frame["name"]) == ["view", "bü,y"]
        assert frame["last"].iloc[0].to_pydatetime() == moment
    assert answers["arrow"].rows == answers["json"].rows
    assert answers["arrow"].columns == answers["json"].columns
    assert "name text" in repr(answers["json"])
    cut = ours.analytics.sql("SELECT event_id FROM events", limit=2)
    assert (len(cut), cut.truncated) == (2, True)
    empty = ours.analytics.sql("SELECT name FROM events WHERE name = 'none'")
    assert (empty.rows, empty.to_arrow().num_rows) == ([], 0)
    assert ours.analytics.sql("SELECT name FROM events", name="view", to=moment).rows == []
    for wrong in ("DELETE FROM events", "SELECT nothing FROM events", "SELECT 1 AS a, 2 AS a"):
        with refused(400, "query"):
            ours.analytics.sql(wrong)


def test_erasures(admin: Eyeline, ours: Eyeline, tenant: Tenant) -> None:
    session_id = uuid4()
    ours.events.create("shop", "view", session_id=session_id)
    erasure = admin.projects.erase_session(tenant.project_id, session_id)
    assert erasure.session_id == str(session_id)
    assert list(ours.events.list(session_id=session_id)) == []
    assert [found.erasure_id for found in admin.projects.erasures(tenant.project_id)] == [erasure.erasure_id]
    assert admin.projects.erasure(tenant.project_id, erasure.erasure_id).state in ("hidden", "done")


def test_the_stream_of_a_project_tells_what_happens(ours: Eyeline, tenant: Tenant) -> None:
    first = ours.images.upload(jpeg(108), project_id=tenant.project_id).wait()
    news: list[News] = []
    for message in ours.projects.stream(tenant.project_id, since=0):
        news.append(message)
        if message.state == "done":
            break
    assert news[-1].image_id == first.image_id
    assert all(message.type == "image.state" for message in news if message.seq)
    numbers = [message.seq for message in news if message.seq is not None]
    assert numbers == list(range(1, len(numbers) + 1))
    assert ours.projects.stream_ticket(tenant.project_id).ticket
    with refused(404):
        next(iter(ours.projects.stream(NOBODY)))


def test_the_server_itself(admin: Eyeline) -> None:
    assert admin.server.health().status == "ok"
    assert admin.server.readiness().ready
    assert "eyeline_" in admin.server.metrics()
    assert admin.server.openapi()["openapi"].startswith("3.")
    assert list(admin.server.jobs(limit=10)) == []
    with refused(404):
        admin.server.retry_job(NOBODY)
    now = datetime.now(timezone.utc)
    assert admin.server.set_clock(now).now >= now


def test_other_credentials(flavour: str, tenant: Tenant) -> None:
    with FLAVOURS[flavour](tenant.url, None, application=tenant.application_id) as visitor:
        visitor.events.track("shop", "view", session_id=uuid4())
        assert visitor.flush(30)
        assert visitor.events.stats.accepted == 1
        with refused(403):
            visitor.images.limits() if False else visitor.galleries.create(tenant.project_id, "x")
    with FLAVOURS[flavour](tenant.url, tenant.admin_key, application=tenant.application_id) as admin:
        assert admin.events.create("shop", "view", session_id=uuid4()).application == tenant.application_id
    with FLAVOURS[flavour](tenant.url, "eyl_sk_wrong") as stranger, refused(401):
        stranger.projects.get(tenant.project_id)
