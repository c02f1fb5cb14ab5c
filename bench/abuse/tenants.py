"""The projects of a run: one that is measured, and one that attacks."""

import base64
import hashlib
import hmac
import json
import struct
import time
import uuid
import zlib
from dataclasses import dataclass, field

from wire import Client

SEED_EVENTS = 20_000
POISON_TYPES = 60
POISON_BRANCHES = 1_900
STAMP = "2026-01-05T10:00:00.000000Z"


@dataclass
class Tenant:
    port: int
    project_id: str
    application_id: str
    key: str
    signing_secret: str
    gallery_id: str = ""
    image_ids: list = field(default_factory=list)
    guarded_gallery_id: str = ""
    guarded_image_ids: list = field(default_factory=list)
    pattern_places: int = 0

    def user_token(self, user_id):
        def part(value):
            return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

        head = {"alg": "HS256", "typ": "JWT", "kid": self.application_id}
        claims = {"sub": user_id, "tier": "business", "exp": int(time.time()) + 3600, "aud": self.project_id}
        text = f"{part(json.dumps(head).encode())}.{part(json.dumps(claims).encode())}"
        return f"{text}.{part(hmac.digest(self.signing_secret.encode(), text.encode(), hashlib.sha256))}"


def event(category, name, data, **more):
    return {
        "session_id": str(uuid.uuid4()),
        "category": category,
        "name": name,
        "data": data,
        "timestamp": STAMP,
        **more,
    }


def png(width, height):
    """A picture in few bytes."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = b"\0" + bytes((x * 255 // width * band) & 255 for x in range(width) for band in (1, 2, 3))
    rows = zlib.compress(row * height, 1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def found(admin, name):
    """A project with an application, a gallery of 100 pictures of its own site, and some events."""
    project = await admin.call("POST", "/projects", {"name": name})
    project_id = project["project_id"]
    made = await admin.call("POST", "/applications", {"project_id": project_id, "name": name})
    tenant = Tenant(
        port=admin.connection.port,
        project_id=project_id,
        application_id=made["application_id"],
        key=made["secret_key"],
        signing_secret=made["signing_secret"],
    )
    client = Client(tenant.port, tenant.key)
    tenant.gallery_id, tenant.image_ids = await gallery(client, tenant, {})
    seeds = [event("shop", f"page {n % 40}", {"path": f"/p/{n % 1000}", "price": n % 97}) for n in range(SEED_EVENTS)]
    for start in range(0, SEED_EVENTS, 5_000):
        await client.call("POST", "/events/batch", seeds[start : start + 5_000])
    return tenant


async def gallery(client, tenant, ranking):
    made = await client.call(
        "POST", "/galleries", {"project_id": tenant.project_id, "name": "shop", "ranking": ranking}
    )
    gallery_id = made["gallery_id"]
    rows = [
        {
            "external_id": f"sku-{n}",
            "name": f"Shoe {n}",
            "url": f"https://cdn.example/{n}.jpg",
            "link": f"https://shop.example/{n}",
        }
        for n in range(100)
    ]
    await client.call("POST", f"/galleries/{gallery_id}/dataset", rows)
    await client.call("POST", f"/galleries/{gallery_id}/refresh")
    page = await client.call("GET", f"/galleries/{gallery_id}/images?limit=100")
    return gallery_id, [item["image_id"] for item in page["items"]]


async def arm(tenant):
    """The costliest types that the server still takes, and a gallery with a guard."""
    client = Client(tenant.port, tenant.key)

    async def declare(category, name, schema, on_invalid, okay=(200, 201)):
        path = f"/event-types/{category}/{name}?project_id={tenant.project_id}"
        return await client.call("PUT", path, {"schema": schema, "on_invalid": on_invalid}, okay=okay)

    for number in range(POISON_TYPES):
        branches = [{"required": [f"k{number}-{n}"]} for n in range(POISON_BRANCHES)]
        schema = {"properties": {"items": {"type": "array", "items": {"anyOf": branches}}}}
        await declare("poison", f"n{number}", schema, "reject" if number % 4 == 0 else "quarantine")
    await declare("strict", "number", {"properties": {"n": {"type": "number"}}, "required": ["n"]}, "quarantine")
    for places in (3_600, 1_900, 900, 400, 100):
        pattern = {"type": "string", "pattern": f"[ab]*a[ab]{{{places}}}c"}
        schema = {"properties": {f"t{n}": pattern for n in range(64)}}
        if "errors" not in await declare("pattern", "long", schema, "reject", okay=(200, 201, 400)):
            tenant.pattern_places = places
            break
    tenant.guarded_gallery_id, tenant.guarded_image_ids = await gallery(client, tenant, {"guard": True})
