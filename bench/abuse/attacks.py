"""The attacks. Each one takes the attacking project and the moment of its end, and counts what the server answered."""

import asyncio
import random
import socket
import time
import uuid
from collections import Counter

from tenants import event, png
from wire import Connection, form, request

BYTES = bytes(1 << 20)
ATTACKS = {}


def attack(who, what):
    """Registers an attack under its function's name: what it does, and with which credential."""

    def register(function):
        ATTACKS[function.__name__] = (function, who, what)
        return function

    return register


def with_key(tenant):
    return {"Authorization": f"Bearer {tenant.key}"}


def public(tenant):
    return {"application": tenant.application_id}


async def crowd(tenant, connections, pace, until, one):
    """Repeats `one(number, connection, seen)` on so many connections, `pace` times a second in all."""
    seen = Counter()

    async def member(number):
        connection, next_at = Connection(tenant.port), time.monotonic() + random.random() * connections / pace
        while next_at < until:
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
            next_at = max(next_at + connections / pace, time.monotonic())
            try:
                async with asyncio.timeout(max(0.0, until - time.monotonic())):
                    await one(number, connection, seen)
                continue
            except TimeoutError:
                seen["unanswered"] += time.monotonic() < until
            except OSError:
                seen["closed"] += 1
            connection.close()
        connection.close()

    await asyncio.gather(*(member(number) for number in range(connections)))
    return seen


async def asked(connection, seen, data):
    seen[(await connection.ask(data)).status] += 1


def cycle(*requests):
    """One request after the other, each member beginning elsewhere."""
    position = Counter()

    async def one(number, connection, seen):
        position[number] += 1
        await asked(connection, seen, requests[(number + position[number]) % len(requests)])

    return one


@attack("public id, key", "events of 35 KB and /try of 64 KB against types with anyOf of 1,900 branches, 60 types")
async def poison(tenant, until):
    requests = []
    for number in range(60):
        poisonous = event("poison", f"n{number}", {"items": [{}] * 11_000})
        requests.append(request("POST", "/api/v1/events", public(tenant), poisonous))
        path = f"/api/v1/event-types/poison/n{number}/try?project_id={tenant.project_id}"
        requests.append(request("POST", path, with_key(tenant), {"data": {"items": [{}] * 20_000}}))
    random.Random(1).shuffle(requests)
    return await crowd(tenant, 8, 20, until, cycle(*requests))


@attack("public id, key", "64 patterns with the most places that are taken, with texts that use up the steps")
async def patterns(tenant, until):
    texts = ["ab" * (1_000_000 // max(1, tenant.pattern_places)), "ab" * 400]
    requests = []
    for text in texts:
        data = {f"t{n}": text for n in range(min(64, 50_000 // len(text)))}
        requests.append(request("POST", "/api/v1/events", public(tenant), event("pattern", "long", data)))
        path = f"/api/v1/event-types/pattern/long/try?project_id={tenant.project_id}"
        requests.append(request("POST", path, with_key(tenant), {"data": data}))
    return await crowd(tenant, 8, 40, until, cycle(*requests))


def queries():
    doubling = ", ".join(f"w{n} AS (SELECT l.x FROM w{n - 1} l, w{n - 1} r)" for n in range(1, 30))
    columns = "name, category, application_id, session_id, event_id, timestamp, received_at, data"
    return [
        "SELECT " + "date_trunc('hour', " * 40 + "timestamp" + ")" * 40 + " FROM events",
        f"WITH w0 AS (SELECT 1 AS x), {doubling} SELECT count(*) FROM w29",
        "SELECT count(*) FROM events a, events b, events c",
        "SELECT count(*) FROM events a JOIN events b ON a.name < b.name WHERE a.data || b.data LIKE '%z%z%z%'",
        "SELECT count(*) FROM events WHERE regexp_like(session_id, '[0-9a-f-]{40000}')",
        "SELECT count(*) FROM events WHERE regexp_like(data, '(a?){400}(a){400}')",
        "SELECT to_char(timestamp, '" + "Day Month YYYY " * 900 + "') FROM events",
        f"SELECT {columns}, count(*) FROM events GROUP BY CUBE({columns})",
        "SELECT a.data, string_agg(b.data, a.data) FROM events a, events b GROUP BY a.data",
    ]


@attack("key", "nested calls, WITH that doubles, joins without a condition, regexp, to_char, CUBE")
async def sql(tenant, until):
    path = f"/api/v1/analytics/sql?project_id={tenant.project_id}"
    return await crowd(
        tenant, 9, 9, until, cycle(*(request("POST", path, with_key(tenant), {"query": query}) for query in queries()))
    )


@attack("key", "64 questions a second: paths, funnels, retention, counts, SQL")
async def questions(tenant, until):
    project = f"project_id={tenant.project_id}"
    asked = [
        f"paths?{project}&depth=5",
        f"retention?{project}&period=week",
        f"counts?{project}&group_by=name,category,application",
        f"features?{project}",
        f"funnel?{project}&steps=shop/page%201,shop/page%202&within=30m",
    ]
    requests = [request("GET", f"/api/v1/analytics/{one}", with_key(tenant)) for one in asked]
    query = {"query": "SELECT session_id, count(*) FROM events GROUP BY 1 ORDER BY 2 LIMIT 10"}
    requests.append(request("POST", f"/api/v1/analytics/sql?{project}", with_key(tenant), query))
    return await crowd(tenant, 64, 64, until, cycle(*requests))


@attack("user", "200 POST /uploads with a byte each 10 s, and 40 with whole pictures that wait")
async def uploads(tenant, until):
    token = {"Authorization": f"Bearer {tenant.user_token('mallory')}"}
    picture = png(2_400, 1_600)

    async def one(number, connection, seen):
        if number < 200:
            kind = form([], "slow.png", b"")[1]
            await drip(
                connection, request("POST", "/api/v1/uploads", {**token, "Content-Type": kind}, b"--", 1_000_000), 10
            )
            return
        body, kind = form([], "whole.png", picture + random.randbytes(8))
        await asked(connection, seen, request("POST", "/api/v1/uploads", {**token, "Content-Type": kind}, body))

    return await crowd(tenant, 240, 20, until, one)


async def drip(connection, head, seconds):
    await connection.send(head)
    while True:
        await asyncio.sleep(seconds * random.uniform(0.9, 1.1))
        await connection.send(b"x")


@attack("public id", "previews of galleries that do not exist, another one each time")
async def previews(tenant, until):
    async def one(number, connection, seen):
        path = f"/api/v1/galleries/{uuid.uuid4()}/images/{uuid.uuid4()}/preview?application={tenant.application_id}"
        await asked(connection, seen, request("GET", path))

    return await crowd(tenant, 8, 200, until, one)


@attack("nobody", "preflights and requests with another origin each time, of 200 bytes and of 30 KB")
async def origins(tenant, until):
    async def one(number, connection, seen):
        origin = f"https://{random.randrange(1 << 60):x}.{'o' * random.choice((180, 30_000))}.example"
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "application",
        }
        method = random.choice(("OPTIONS", "POST"))
        await asked(connection, seen, request(method, "/api/v1/events", {**headers, **public(tenant)}))

    return await crowd(tenant, 8, 200, until, one)


@attack("nobody", "heads of 400 KB, and 500 heads that get a line each 10 s")
async def heads(tenant, until):
    big = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Filler: " + b"x" * 400_000

    async def one(number, connection, seen):
        if number < 500:
            await connection.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
            while True:
                await asyncio.sleep(10 * random.uniform(0.9, 1.1))
                await connection.send(b"X-Slow: 1\r\n")
        await asked(connection, seen, big)
        connection.close()

    return await crowd(tenant, 506, 60, until, one)


@attack("nobody", "multipart bodies of upload links with a preamble, or the head of a part, that does not end")
async def preambles(tenant, until):
    async def one(number, connection, seen):
        start = b"" if number % 2 else b'--edge\r\nContent-Disposition: form-data; name="'
        kind = {"Content-Type": "multipart/form-data; boundary=edge"}
        await connection.send(request("POST", "/api/v1/incoming", kind, start, 1 << 40))
        while True:
            await connection.send(BYTES)
            await asyncio.sleep(0.5)

    return await crowd(tenant, 16, 32, until, one)


@attack("nobody, public id", "600 unfinished bodies of 1 and 5 MiB that get a byte each 25 s")
async def drips(tenant, until):
    opening = asyncio.Semaphore(16)

    async def one(number, connection, seen):
        # Half of them without a credential, half with the public id and as much as a batch may have.
        headers = {"Content-Type": "application/json", **(public(tenant) if number % 2 else {})}
        path, size = ("/api/v1/events/batch", 5 << 20) if number % 2 else ("/api/v1/events", 1 << 20)
        async with opening:
            await connection.send(request("POST", path, headers, b"[", size))
            for _ in range((size >> 20) - 1):
                await connection.send(BYTES)
            await connection.send(BYTES[: (1 << 20) - 1_000])
        await drip(connection, b"", 25)

    return await crowd(tenant, 600, 60, until, one)


@attack("link", "30 PUTs through one link at a time")
async def puts(tenant, until):
    link = {}
    size = 4 << 20

    async def renew(connection):
        stated = {
            "filename": "p.png",
            "project_id": tenant.project_id,
            "size": size,
            "sha256": "0" * 64,
            "content_type": "image/png",
        }
        made = (await connection.ask(request("POST", "/api/v1/images", with_key(tenant), stated))).json()
        headers = {**made["params"]["headers"]}
        headers.pop("Content-Length", None)
        path = "/" + made["upload_link"].split("/", 3)[3]
        link["head"], link["until"] = request("PUT", path, headers, b"", size), time.monotonic() + 5

    async def one(number, connection, seen):
        if link.get("until", 0) < time.monotonic():
            await renew(connection)
        await connection.send(link["head"])
        for _ in range(size >> 20):
            await connection.send(BYTES)
            await asyncio.sleep(0.2)
        seen[(await connection.answer()).status] += 1

    return await crowd(tenant, 30, 30, until, one)


@attack("public id, key", "300 connections that ask for 100 pages, or for 16 MiB by SQL, and read none")
async def unread(tenant, until):
    page = request("GET", f"/api/v1/galleries/{tenant.gallery_id}/images?limit=100", public(tenant))
    everything = request("GET", "/api/v1/openapi.json")
    query = {"query": "SELECT " + " || ".join(["data"] * 60) + " FROM events LIMIT 10000"}
    large = request(
        "POST", f"/api/v1/analytics/sql?project_id={tenant.project_id}&limit=10000", with_key(tenant), query
    )

    async def one(number, connection, seen):
        await connection.send((page * 100, everything * 100, large)[number % 3])
        await asyncio.sleep(30 if number % 3 == 2 else 3600)
        # What stands in the kernel's buffer tells whether there was an answer at all.
        seen[int(connection.socket.recv(12)[9:12])] += 1

    return await crowd(tenant, 300, 60, until, one)


@attack("nobody", "10,100 connections that say nothing, opened anew when they are closed")
async def silent(tenant, until):
    seen, held = Counter(), []
    while time.monotonic() < until:
        while len(held) < 10_100 and time.monotonic() < until:
            try:
                connection = socket.create_connection(("127.0.0.1", tenant.port), timeout=5)
                connection.setblocking(False)
                held.append(connection)
                seen["opened"] += 1
            except OSError:
                seen["refused"] += 1
                break
        await asyncio.sleep(5)
        open_still = []
        for connection in held:
            try:
                connection.recv(1)
                connection.close()
            except BlockingIOError:
                open_still.append(connection)
            except OSError:
                connection.close()
        seen["closed"] += len(held) - len(open_still)
        held = open_still
    for connection in held:
        connection.close()
    return seen


@attack("public id", "another name for each event, and events of 60 KB that are quarantined")
async def names(tenant, until):
    wrong = event("strict", "number", {"n": "x" * 60_000})

    async def one(number, connection, seen):
        if number % 4 == 0:
            await asked(connection, seen, request("POST", "/api/v1/events", public(tenant), wrong))
            return
        invented = [event(f"c{uuid.uuid4()}", f"n{uuid.uuid4()}", {}) for _ in range(50)]
        await asked(connection, seen, request("POST", "/api/v1/events/batch", public(tenant), invented))

    return await crowd(tenant, 8, 40, until, one)


@attack("key", "50 times a second a single event that does not exist")
async def ids(tenant, until):
    async def one(number, connection, seen):
        await asked(connection, seen, request("GET", f"/api/v1/events/{uuid.uuid4()}", with_key(tenant)))

    return await crowd(tenant, 16, 50, until, one)


@attack("key", "a network with many browsers crosses the guard's line, again and again")
async def guard(tenant, until):
    async def one(number, connection, seen):
        network, events = f"203.{number}.{random.randrange(256)}", []
        for visitor in range(400):
            client = {"ip": f"{network}.{visitor % 250 + 1}", "user_agent": f"browser {visitor}"}
            data = {"gallery_id": tenant.guarded_gallery_id, "image_id": random.choice(tenant.guarded_image_ids)}
            visit = event("gallery", "view", data, client=client)
            events += [visit] if visitor < 200 else [visit, {**visit, "name": "click"}]
        await asked(connection, seen, request("POST", "/api/v1/events/batch", with_key(tenant), events))

    return await crowd(tenant, 2, 4, until, one)


@attack("key", "8 pictures of 12 megapixels a second")
async def photos(tenant, until):
    picture = png(4_000, 3_000)

    async def one(number, connection, seen):
        stated = {"filename": "p.png", "project_id": tenant.project_id, "gallery_id": tenant.gallery_id}
        made = await connection.ask(request("POST", "/api/v1/images", with_key(tenant), stated))
        if made.status != 201:
            seen[made.status] += 1
            return
        fields = made.json()["params"]["fields"]
        body, kind = form(fields.items(), "p.png", picture + random.randbytes(8))
        await asked(connection, seen, request("POST", "/api/v1/incoming", {"Content-Type": kind}, body))

    return await crowd(tenant, 8, 8, until, one)


@attack("public id", "10,000 events/s, ten times the limit: 2,000 one by one, the others in batches of 1,000")
async def flood(tenant, until):
    single = request("POST", "/api/v1/events", public(tenant), event("flood", "single", {}))
    batch = request("POST", "/api/v1/events/batch", public(tenant), [event("flood", "batch", {}) for _ in range(1_000)])
    seen = Counter()

    async def singles():
        connection, next_at = Connection(tenant.port), time.monotonic()
        while time.monotonic() < until:
            seen.update(await connection.many(single * 50, 50))
            next_at = max(next_at + 0.1, time.monotonic() - 1)
            await asyncio.sleep(max(0, next_at - time.monotonic()))

    async def batches():
        connection = Connection(tenant.port)
        while time.monotonic() < until:
            seen.update(await connection.many(batch, 1))
            await asyncio.sleep(0.125)

    await asyncio.gather(*(singles() for _ in range(4)), batches())
    return seen


def run(name, tenant, until):
    """In a process of the attack's own: the counted answers."""
    return asyncio.run(ATTACKS[name][0](tenant, until))
