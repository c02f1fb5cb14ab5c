"""A shop with Flask: a gallery ordered by Eyeline, whose views and clicks the server tracks.

Run it with: EYELINE_URL=… EYELINE_KEY=eyl_sk_… EYELINE_GALLERY=… flask --app flask_app run
"""

from __future__ import annotations

import os
from uuid import uuid4

from flask import Flask, abort, redirect, render_template_string, request, session
from werkzeug.wrappers import Response

from eyeline import ApiError, Eyeline

PAGE = """<!doctype html>
<title>Shop</title>
{% for item in page.items %}
<a href="{{ url_for('follow', image_id=item.image_id, place=item.place or '') }}">
<img src="{{ item.preview or item.url }}"></a>
{% endfor %}
{% if page.next_cursor %}<a href="?cursor={{ page.next_cursor }}">More</a>{% endif %}
"""


def create_app(client: Eyeline | None = None, gallery_id: str | None = None) -> Flask:
    """Makes the application. Without arguments it is configured by the environment."""
    app = Flask(__name__)
    app.secret_key = os.environ.get("FLASK_SECRET") or os.urandom(32)
    eyeline = client or Eyeline()
    gallery = gallery_id or os.environ["EYELINE_GALLERY"]

    def visitor() -> str:
        """The visitor's session, in a signed cookie."""
        session_id: str = session.setdefault("eyeline", str(uuid4()))
        return session_id

    def track(name: str, image_id: str, place: str | None) -> None:
        data = {"gallery_id": gallery, "image_id": image_id}
        who = {"ip": request.remote_addr or "", "user_agent": request.user_agent.string}
        eyeline.events.track("gallery", name, data, session_id=visitor(), client=who, place=place)

    @app.get("/")
    def show() -> str:
        images = eyeline.galleries.images(gallery, cursor=request.args.get("cursor"), session_id=visitor())
        try:
            page = images.page()
        except ApiError as error:
            # A cursor that somebody changed by hand.
            abort(error.status if error.status < 500 else 502)
        for item in page.items:
            track("view", item.image_id, getattr(item, "place", None))
        return render_template_string(PAGE, page=page)

    @app.get("/image/<uuid:image_id>")
    def follow(image_id: object) -> Response:
        try:
            item = eyeline.galleries.image(gallery, str(image_id))
        except ApiError as error:
            abort(error.status if error.status < 500 else 502)
        track("click", item.image_id, request.args.get("place") or None)
        return redirect(item.link or item.url or "/")

    return app
