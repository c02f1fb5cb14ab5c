"""Every operation of the API: where it is, whether it may be sent twice, and the method of the client that calls it.

This is the only place that knows the addresses. A test compares the table with the OpenAPI document of the server.
"""

from __future__ import annotations

from typing import NamedTuple


class Operation(NamedTuple):
    """One operation of the API."""

    verb: str
    path: str
    method: str
    """The method of :class:`eyeline.Eyeline`, as a dotted path."""
    keyed: bool = False
    """It creates something and takes an ``Idempotency-Key``: the same request sent again creates nothing more."""
    repeatable: bool = False
    """A POST that may be sent again although it has no key. Every other verb is repeatable in any case."""


API = "/api/v1"

OPERATIONS: dict[str, Operation] = {
    # projects
    "create_project": Operation("POST", f"{API}/projects", "projects.create", keyed=True),
    "list_projects": Operation("GET", f"{API}/projects", "projects.list"),
    "get_project": Operation("GET", f"{API}/projects/{{project_id}}", "projects.get"),
    "update_project": Operation("PATCH", f"{API}/projects/{{project_id}}", "projects.update"),
    "delete_project": Operation("DELETE", f"{API}/projects/{{project_id}}", "projects.delete"),
    "get_project_usage": Operation("GET", f"{API}/projects/{{project_id}}/usage", "projects.usage"),
    "create_erasure": Operation(
        "POST", f"{API}/projects/{{project_id}}/erasures", "projects.erase_session", keyed=True
    ),
    "list_erasures": Operation("GET", f"{API}/projects/{{project_id}}/erasures", "projects.erasures"),
    "get_erasure": Operation("GET", f"{API}/projects/{{project_id}}/erasures/{{erasure_id}}", "projects.erasure"),
    "open_stream": Operation("GET", f"{API}/projects/{{project_id}}/stream", "projects.stream"),
    "create_stream_ticket": Operation(
        "POST", f"{API}/projects/{{project_id}}/stream-tickets", "projects.stream_ticket", keyed=True
    ),
    # applications
    "create_application": Operation("POST", f"{API}/applications", "applications.create", keyed=True),
    "list_applications": Operation("GET", f"{API}/applications", "applications.list"),
    "get_application": Operation("GET", f"{API}/applications/{{application_id}}", "applications.get"),
    "update_application": Operation("PATCH", f"{API}/applications/{{application_id}}", "applications.update"),
    "delete_application": Operation("DELETE", f"{API}/applications/{{application_id}}", "applications.delete"),
    "rotate_application_key": Operation(
        "POST", f"{API}/applications/{{application_id}}/rotate", "applications.rotate", keyed=True
    ),
    # images
    "get_limits": Operation("GET", f"{API}/limits", "images.limits"),
    "create_image": Operation("POST", f"{API}/images", "images.create", keyed=True),
    "create_images": Operation("POST", f"{API}/images/batch", "images.create_many", keyed=True),
    "get_image": Operation("GET", f"{API}/images/{{image_id}}", "images.get"),
    "update_image": Operation("PATCH", f"{API}/images/{{image_id}}", "images.update"),
    "delete_image": Operation("DELETE", f"{API}/images/{{image_id}}", "images.delete"),
    "list_images": Operation("GET", f"{API}/projects/{{project_id}}/images", "images.list"),
    "create_part_links": Operation("POST", f"{API}/images/{{image_id}}/parts", "images.part_links", repeatable=True),
    "complete_image": Operation("POST", f"{API}/images/{{image_id}}/complete", "images.complete", repeatable=True),
    "reprocess_image": Operation("POST", f"{API}/images/{{image_id}}/reprocess", "images.reprocess", repeatable=True),
    # uploads of users
    "create_upload": Operation("POST", f"{API}/uploads", "uploads.create", keyed=True),
    "list_uploads": Operation("GET", f"{API}/uploads", "uploads.list"),
    "get_upload": Operation("GET", f"{API}/uploads/{{image_id}}", "uploads.get"),
    "delete_upload": Operation("DELETE", f"{API}/uploads/{{image_id}}", "uploads.delete"),
    # galleries
    "create_gallery": Operation("POST", f"{API}/galleries", "galleries.create", keyed=True),
    "list_galleries": Operation("GET", f"{API}/galleries", "galleries.list"),
    "get_gallery": Operation("GET", f"{API}/galleries/{{gallery_id}}", "galleries.get"),
    "update_gallery": Operation("PATCH", f"{API}/galleries/{{gallery_id}}", "galleries.update"),
    "delete_gallery": Operation("DELETE", f"{API}/galleries/{{gallery_id}}", "galleries.delete"),
    "load_dataset": Operation("POST", f"{API}/galleries/{{gallery_id}}/dataset", "galleries.load", repeatable=True),
    "list_gallery_images": Operation("GET", f"{API}/galleries/{{gallery_id}}/images", "galleries.images"),
    "get_gallery_image": Operation("GET", f"{API}/galleries/{{gallery_id}}/images/{{image_id}}", "galleries.image"),
    "add_gallery_image": Operation("PUT", f"{API}/galleries/{{gallery_id}}/images/{{image_id}}", "galleries.add_image"),
    "remove_gallery_image": Operation(
        "DELETE", f"{API}/galleries/{{gallery_id}}/images/{{image_id}}", "galleries.remove_image"
    ),
    "get_gallery_image_preview": Operation(
        "GET", f"{API}/galleries/{{gallery_id}}/images/{{image_id}}/preview", "galleries.preview"
    ),
    "explain_rank": Operation("GET", f"{API}/galleries/{{gallery_id}}/images/{{image_id}}/why", "galleries.why"),
    "refresh_gallery": Operation(
        "POST", f"{API}/galleries/{{gallery_id}}/refresh", "galleries.refresh", repeatable=True
    ),
    "list_gallery_changes": Operation("GET", f"{API}/galleries/{{gallery_id}}/changes", "galleries.changes"),
    "get_experiment": Operation("GET", f"{API}/galleries/{{gallery_id}}/experiment", "galleries.experiment"),
    "estimate_order": Operation("GET", f"{API}/galleries/{{gallery_id}}/estimate", "galleries.estimate"),
    "get_gallery_rules": Operation("GET", f"{API}/galleries/{{gallery_id}}/rules", "galleries.rules"),
    "set_gallery_rules": Operation("PUT", f"{API}/galleries/{{gallery_id}}/rules", "galleries.set_rules"),
    "delete_gallery_rules": Operation("DELETE", f"{API}/galleries/{{gallery_id}}/rules", "galleries.delete_rules"),
    # events
    "create_event": Operation("POST", f"{API}/events", "events.create", repeatable=True),
    "create_events": Operation("POST", f"{API}/events/batch", "events.send", repeatable=True),
    "list_events": Operation("GET", f"{API}/events", "events.list"),
    "get_event": Operation("GET", f"{API}/events/{{event_id}}", "events.get"),
    "list_quarantined_events": Operation("GET", f"{API}/events/quarantine", "events.quarantine"),
    "list_quarantine_causes": Operation("GET", f"{API}/events/quarantine/causes", "events.quarantine_causes"),
    "replay_quarantined_events": Operation(
        "POST", f"{API}/events/quarantine/replay", "events.replay_quarantine", repeatable=True
    ),
    # event types
    "list_event_types": Operation("GET", f"{API}/event-types", "event_types.list"),
    "put_event_type": Operation("PUT", f"{API}/event-types/{{category}}/{{name}}", "event_types.put"),
    "get_event_type": Operation("GET", f"{API}/event-types/{{category}}/{{name}}", "event_types.get"),
    "delete_event_type": Operation("DELETE", f"{API}/event-types/{{category}}/{{name}}", "event_types.delete"),
    "try_event_type": Operation(
        "POST", f"{API}/event-types/{{category}}/{{name}}/try", "event_types.check", repeatable=True
    ),
    # analytics
    "count_events": Operation("GET", f"{API}/analytics/counts", "analytics.counts"),
    "list_features": Operation("GET", f"{API}/analytics/features", "analytics.features"),
    "list_paths": Operation("GET", f"{API}/analytics/paths", "analytics.paths"),
    "get_funnel": Operation("GET", f"{API}/analytics/funnel", "analytics.funnel"),
    "get_retention": Operation("GET", f"{API}/analytics/retention", "analytics.retention"),
    "get_gallery_usage": Operation("GET", f"{API}/analytics/galleries/{{gallery_id}}", "analytics.gallery"),
    "query_events": Operation("POST", f"{API}/analytics/sql", "analytics.sql", repeatable=True),
    # operations
    "get_openapi": Operation("GET", f"{API}/openapi.json", "server.openapi"),
    "get_health": Operation("GET", "/healthz", "server.health"),
    "get_readiness": Operation("GET", "/readyz", "server.readiness"),
    "get_metrics": Operation("GET", "/metrics", "server.metrics"),
    "list_jobs": Operation("GET", f"{API}/jobs", "server.jobs"),
    "retry_job": Operation("POST", f"{API}/jobs/{{job_id}}/retry", "server.retry_job", repeatable=True),
    "set_test_clock": Operation("POST", f"{API}/test/clock", "server.set_clock", repeatable=True),
}

WITHOUT_METHOD: dict[tuple[str, str], str] = {
    ("PUT", f"{API}/incoming/{{name}}"): "The target of upload links; images.upload and images.send use it.",
    (
        "PUT",
        f"{API}/incoming/{{name}}/{{number}}",
    ): "The target of links to parts; images.upload and images.send use it.",
    ("POST", f"{API}/incoming"): "The target of upload links for files of unknown size; images.send uses it.",
    ("GET", "/public/{folder}/{name}"): "The target of the links of versions.",
    ("GET", "/private/{folder}/{name}"): "The target of the links of versions.",
    ("GET", "/originals/{image_id}/{name}"): "The target of the links of originals.",
    ("POST", f"{API}/session"): "For browsers only: sets the cookie.",
    ("GET", f"{API}/session"): "For browsers only: reads the cookie.",
    ("POST", f"{API}/session/links"): "For browsers only: creates a sign-in link.",
    ("DELETE", f"{API}/session"): "For browsers only: clears the cookie.",
}
"""Operations that no method calls, each with the reason."""
