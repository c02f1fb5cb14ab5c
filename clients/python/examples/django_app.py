"""A shop with Django, in one file: a gallery ordered by Eyeline, and a middleware that tracks each request.

Run it with: EYELINE_URL=… EYELINE_KEY=eyl_sk_… EYELINE_GALLERY=… python django_app.py runserver
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from uuid import UUID, uuid4

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.html import format_html, format_html_join

from eyeline import ApiError, Eyeline

SECONDS_OF_A_SESSION = 30 * 60

if not settings.configured:
    settings.configure(
        SECRET_KEY=os.environ.get("DJANGO_SECRET") or os.urandom(32).hex(),
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["django.middleware.security.SecurityMiddleware", f"{__name__}.EyelineMiddleware"],
        USE_TZ=True,
    )
    django.setup()


@cache
def eyeline() -> Eyeline:
    """The client of this process. A worker that was forked has a queue of its own."""
    return Eyeline()


class EyelineMiddleware:
    """Knows the visitor's session by a signed cookie and tracks each request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        session_id = request.get_signed_cookie("eyeline", default="") or str(uuid4())
        request.META["eyeline.session_id"] = session_id
        response = self.get_response(request)
        response.set_signed_cookie("eyeline", session_id, max_age=SECONDS_OF_A_SESSION, httponly=True, samesite="Lax")
        data = {"path": request.path, "method": request.method, "status": response.status_code}
        eyeline().events.track("request", "answered", data, session_id=session_id)
        return response


def track(request: HttpRequest, name: str, image_id: str, place: str | None) -> None:
    """Tracks a view or a click of the gallery."""
    eyeline().events.track(
        "gallery",
        name,
        {"gallery_id": os.environ["EYELINE_GALLERY"], "image_id": image_id},
        session_id=request.META["eyeline.session_id"],
        client={"ip": request.META["REMOTE_ADDR"], "user_agent": request.headers.get("User-Agent", "")},
        place=place,
    )


def show(request: HttpRequest) -> HttpResponse:
    """A page of the gallery."""
    images = eyeline().galleries.images(
        os.environ["EYELINE_GALLERY"],
        cursor=request.GET.get("cursor"),
        session_id=request.META["eyeline.session_id"],
    )
    try:
        page = images.page()
    except ApiError as error:
        raise Http404(error.detail) from error
    for item in page.items:
        track(request, "view", item.image_id, getattr(item, "place", None))
    pictures = format_html_join(
        "\n",
        '<a href="/image/{}?place={}"><img src="{}"></a>',
        ((item.image_id, getattr(item, "place", None) or "", item.preview or item.url) for item in page.items),
    )
    more = format_html('<a href="?cursor={}">More</a>', page.next_cursor) if page.next_cursor else ""
    return HttpResponse(format_html("<!doctype html>\n<title>Shop</title>\n{}\n{}", pictures, more))


def follow(request: HttpRequest, image_id: UUID) -> HttpResponse:
    """Counts a click and goes where the image leads."""
    try:
        item = eyeline().galleries.image(os.environ["EYELINE_GALLERY"], image_id)
    except ApiError as error:
        raise Http404(error.detail) from error
    track(request, "click", item.image_id, request.GET.get("place") or None)
    return redirect(item.link or item.url or "/")


urlpatterns = [path("", show), path("image/<uuid:image_id>", follow)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
