"""The examples for Django and Flask."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap

import pytest
from conftest import Tenant
from flask_app import create_app

from eyeline import Eyeline


@pytest.fixture
def gallery_id(client: Eyeline, tenant: Tenant) -> str:
    """A gallery of three images with links."""
    gallery = client.galleries.create(tenant.project_id, "shop", page_size=2)
    rows = [
        {
            "external_id": f"sku-{number}",
            "url": f"https://cdn.example/{number}.jpg",
            "link": f"https://shop.example/{number}",
        }
        for number in range(3)
    ]
    assert client.galleries.load(gallery.gallery_id, rows).created == 3
    client.galleries.refresh(gallery.gallery_id)
    return gallery.gallery_id


def test_the_flask_example_shows_a_gallery_and_counts_views_and_clicks(client: Eyeline, gallery_id: str) -> None:
    visitor = create_app(client, gallery_id).test_client()
    page = visitor.get("/")
    assert page.status_code == 200
    links = re.findall(r'href="(/image/[^"]+)"', page.text)
    assert len(links) == 2
    assert "place=" in links[0]
    clicked = visitor.get(links[0].replace("&amp;", "&"))
    assert clicked.status_code == 302
    assert clicked.location.startswith("https://shop.example/")
    more = re.search(r'href="(\?cursor=[^"]+)"', page.text)
    assert more
    assert len(re.findall("/image/", visitor.get("/" + more[1]).text)) == 1
    assert visitor.get("/?cursor=made-up").status_code == 400
    assert visitor.get("/image/00000000-0000-7000-8000-000000000000").status_code == 404
    counted(client, gallery_id, sessions=1)


def test_the_django_example_shows_a_gallery_and_tracks_requests(
    client: Eyeline, tenant: Tenant, gallery_id: str
) -> None:
    script = """
    import re
    import django_app
    from django.test import Client

    visitor = Client()
    page = visitor.get("/")
    assert page.status_code == 200, page.content
    links = re.findall(r'href="(/image/[^"]+)"', page.content.decode())
    assert len(links) == 2, links
    clicked = visitor.get(links[0].replace("&amp;", "&"))
    assert clicked.status_code == 302, clicked
    assert clicked.url.startswith("https://shop.example/"), clicked.url
    more = re.search(r'href="([?]cursor=[^"]+)"', page.content.decode())[1]
    assert len(re.findall("/image/", visitor.get("/" + more).content.decode())) == 1
    assert visitor.get("/?cursor=made-up").status_code == 404
    assert visitor.get("/image/00000000-0000-7000-8000-000000000000").status_code == 404
    """
    environment = tenant.environment() | {"EYELINE_GALLERY": gallery_id}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    counted(client, gallery_id, sessions=1)
    rows = client.analytics.counts(category="request", interval="all").rows
    assert [(row.count, row.sessions) for row in rows] == [(5, 1)]


def counted(client: Eyeline, gallery_id: str, sessions: int) -> None:
    """Three views and a click, all of one visitor, each with the rank at which it was served."""
    assert client.flush(20)
    client.galleries.refresh(gallery_id)
    items = list(client.galleries.images(gallery_id))
    assert [(item.views, item.clicks) for item in items] == [(1, 1), (1, 0), (1, 0)]
    (row,) = client.analytics.counts(category="gallery", interval="all").rows
    assert (row.count, row.sessions) == (4, sessions)
