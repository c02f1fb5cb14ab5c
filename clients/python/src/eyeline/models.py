"""What the API answers, made of its OpenAPI document by scripts/generate.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias


@dataclass(kw_only=True)
class ApplicationChange:
    allowed_origins: list[str] | None = None
    ed25519_public_key: str | None = None
    """
    32 bytes as base64 or base64url, or a PEM; the empty text takes it away. While it is there, user tokens have to
    be signed with its private half (EdDSA).
    """
    name: str | None = None


ReturnedItem: TypeAlias = int


@dataclass(kw_only=True)
class DataToTry:
    data: dict[str, Any]


@dataclass(kw_only=True)
class Engine:
    name: str
    reachable: bool
    required: bool


@dataclass(kw_only=True)
class EventClient:
    ip: str
    user_agent: str | None = None


@dataclass(kw_only=True)
class EventTypeName:
    """A type of events within an answer."""

    category: str
    name: str


@dataclass(kw_only=True)
class FeatureRow:
    category: str
    count: int
    name: str
    sessions: int
    """Different values of `session_id`."""


FileBytes: TypeAlias = bytes
"""The bytes of a file."""


@dataclass(kw_only=True)
class FunnelRow:
    category: str
    name: str
    of_first: float | None
    of_previous: float | None
    """The part of the step before, and of the first one; null when that is nobody."""
    sessions: int
    """Sessions, each split after 30 minutes of silence, that took this step and all before it."""
    step: int
    """From 1."""


@dataclass(kw_only=True)
class GalleryItemNumbers:
    """The numbers are for keys alone."""

    clicks: int | None = None
    counted_clicks: int | None = None
    counted_views: int | None = None
    """What a guarded gallery ranks by."""
    views: int | None = None
    weight: int | None = None


@dataclass(kw_only=True)
class GalleryUsagePosition:
    click_rate: float | None
    """Clicks for each view; null without views."""
    clicks: int
    views: int
    position: int
    """The position at which a page had served the image, from 1."""


@dataclass(kw_only=True)
class GroupCap:
    """
    At most `max` images of a group in each `within` positions. A group is the images whose first tag with the prefix is
    the same.
    """

    max: int
    tag_prefix: str
    within: int | None = None
    """The gallery's `page_size` by default."""


@dataclass(kw_only=True)
class Health:
    status: str
    """Always `"ok"`."""


@dataclass(kw_only=True)
class ImageSelector:
    """One of the three is there, and only one."""

    external_id: str | None = None
    image_id: str | None = None
    """One picture with its original and its versions."""
    tag: str | None = None
    """Selects every image with the tag."""


@dataclass(kw_only=True)
class ImageStateAnswer:
    image_id: str
    """One picture with its original and its versions."""
    state: Literal["init", "uploaded", "processing", "done", "error"]


@dataclass(kw_only=True)
class IncomingForm:
    """The body of [`post`]: the link's `fields`, which all have to stand before the file."""

    file: bytes
    key: str
    policy: str
    signature: str


@dataclass(kw_only=True)
class Limits:
    content_types: list[str]
    """Types of files that are taken."""
    max_batch_files: int
    """Files of one batch of links."""
    max_file_bytes: int
    """Bytes of a file."""
    max_images: int | None
    """Images that are kept; null: no limit."""
    upload_link_seconds: int
    """Seconds that an upload link lives."""


@dataclass(kw_only=True)
class Neighbour:
    image_id: str
    """One picture with its original and its versions."""
    position: int
    score: float


@dataclass(kw_only=True)
class Neighbours:
    after: Neighbour | None
    before: Neighbour | None


@dataclass(kw_only=True)
class OpenApiDocument:
    """An OpenAPI 3.1 document."""


@dataclass(kw_only=True)
class PathRow:
    count: int
    """How often these steps followed each other."""
    steps: list[EventTypeName]


@dataclass(kw_only=True)
class ProblemDocument:
    """An error (RFC 9457)."""

    detail: str
    """One sentence about this error."""
    request_id: str
    """The id of the request, as in `X-Request-Id` and in the log."""
    status: int
    title: str
    """The meaning of the status."""
    type: str
    errors: dict[str, list[str]] | None = None
    """What is wrong, by field; with invalid input."""


@dataclass(kw_only=True)
class ProjectQuotas:
    """What the project may hold at most; null: no limit."""

    bytes: int | None
    events: int | None
    images: int | None
    quarantined_bytes: int | None
    quarantined_events: int | None
    """Beyond these two the oldest events in quarantine are dropped."""
    rollup_rows_per_day: int | None
    """Further events that would make a new row are quarantined."""


@dataclass(kw_only=True)
class PublicPage:
    """
    The gallery's public page, `/g/{gallery_id}`. Everybody can open it while it is enabled and the gallery is public and
    free.
    """

    application_id: str | None
    enabled: bool
    indexed: bool
    """Whether search engines may list the page."""


@dataclass(kw_only=True)
class PublicPageChange:
    enabled: bool | None = None
    """True opens `/g/{gallery_id}` to everybody. The first time, it creates the application of the page."""
    indexed: bool | None = None
    """True lets search engines list the page; false by default."""


@dataclass(kw_only=True)
class QuarantineUsage:
    """What the project has in quarantine."""

    bytes: int
    """Bytes of the events and their reasons."""
    dropped: int
    """Events that were dropped since the quarantine was full."""
    events: int


@dataclass(kw_only=True)
class Readiness:
    engines: list[Engine]
    ready: bool
    """Whether requests should be sent here."""
    roles: list[str]
    """What the process does: `api`, `worker`, `ingest`."""
    stopping: bool
    """True once the process was asked to stop."""
    troubles: list[str]
    """What else keeps it from its work, in sentences."""
    warnings: list[str]
    """What an operator should mend, although the server works."""


@dataclass(kw_only=True)
class RefreshedOrder:
    applied_events: int
    """View and click events counted for this gallery so far."""
    order_id: str
    """A published order of a gallery."""


@dataclass(kw_only=True)
class RejectedEvent:
    errors: dict[str, list[str]]
    """
    Field path to sentences, as the `errors` of a problem document. The empty path speaks of the body as a whole and is
    shown as `body`.
    """
    index: int
    """The event's place in the batch, from zero; empty lines do not count."""


@dataclass(kw_only=True)
class RejectedRow:
    errors: dict[str, list[str]]
    """Field to sentences; `row` speaks of the row as a whole."""
    row: int
    """From 1: the element of the array, the line, or the record after the header."""


@dataclass(kw_only=True)
class Rendition:
    bytes: int
    content_type: str
    height: int
    name: str
    url: str
    width: int
    """Pixels."""


@dataclass(kw_only=True)
class Replay:
    next_cursor: str | None
    """A call looks at 20,000 events; with this the next one goes on. Null: all were tried."""
    replayed: int
    """Events that count from now on."""
    still_failing: int


@dataclass(kw_only=True)
class ReplayOrder:
    category: str | None = None
    cursor: str | None = None
    """The `next_cursor` of the call before."""
    dry_run: bool | None = None
    """True changes nothing and tells what would happen."""
    name: str | None = None
    project_id: str | None = None
    reason: Literal["schema", "unknown_image", "invalid", "failed", "too_many_names"] | None = None


@dataclass(kw_only=True)
class RotationOrder:
    overlap_seconds: int | None = 86400
    """Seconds for which the older keys stay valid; 0 ends them with the answer."""
    signing_secret: bool | None = None
    """True replaces the signing secret too; tokens signed with the old one end at once."""


@dataclass(kw_only=True)
class SampleRatio:
    """Whether the arms are of the sizes that they were drawn with; where they are not, do not believe the lift."""

    expected_control: float
    observed_control: float | None
    ok: bool
    p_value: float | None


@dataclass(kw_only=True)
class Session:
    public_url: str
    """
    The address that links in answers begin with (`EYELINE_PUBLIC_URL`). A page at another address replaces it by
    its own.
    """
    signed_in: bool
    """Whether the request came with the cookie of a signed-in browser."""


@dataclass(kw_only=True)
class SignIn:
    """The body of [`sign_in`]: one of the two."""

    admin_key: str | None = None
    ticket: str | None = None
    """From the link that the server prints at its start or `eyeline link` prints; works once, within 30 minutes."""


@dataclass(kw_only=True)
class SqlQuestion:
    """What is asked."""

    query: str
    """One SELECT of at most 16 KiB, in the spelling of PostgreSQL."""
    application: str | None = None
    category: str | None = None
    from_: str | None = None
    """The table `events` holds the events that fit this field and all below."""
    limit: int | None = 1000
    """Rows of the answer."""
    name: str | None = None
    project_id: str | None = None
    timezone: str | None = None
    """The zone of `from` and `to` without an offset; UTC by default."""
    to: str | None = None


@dataclass(kw_only=True)
class UploadForm:
    """The body of [`create_upload`]."""

    data: bytes
    """The file."""
    tier: Literal["free", "premium", "business"] | None = None
    user_id: str | None = None
    """With a key: whose upload it is. It stands before the file, or in the query."""


@dataclass(kw_only=True)
class UploadParams:
    fields: dict[str, str]
    headers: dict[str, str]
    method: Literal["PUT", "POST"]
    """
    `PUT` with all `headers` and the file as the body, or `POST` of a form of all `fields` with the file as the field
    `file`, last.
    """


@dataclass(kw_only=True)
class UploadVerdict:
    """The verdict on one file. With `created` all fields of an upload link are there, else none of them."""

    filename: str | None
    """Null when the file named none."""
    verdict: Literal["created", "duplicate", "repeated", "over_quota", "too_large", "wrong_type", "invalid"]
    """
    `created`: a link is there. `duplicate`: the file of `duplicate_of` has arrived and has the same hash. `repeated`:
    an earlier file of this call has the same hash; its link, of the image `duplicate_of`, is for both. Else
    `over_quota`, `too_large`, `wrong_type` or `invalid`.
    """
    expires_at: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""
    image_id: str | None = None
    """One picture with its original and its versions."""
    params: UploadParams | None = None
    state: Literal["init", "uploaded", "processing", "done", "error"] | None = None
    upload_link: str | None = None
    detail: str | None = None
    """What is wrong, in a sentence."""
    duplicate_of: str | None = None
    """The image that has this very file; with `duplicate`."""
    errors: dict[str, list[str]] | None = None
    """What is wrong by field; with `invalid`."""


@dataclass(kw_only=True)
class UsageNumbers:
    click_rate: float | None
    """Clicks for each view; null without views."""
    clicks: int
    views: int


@dataclass(kw_only=True)
class Versions:
    """As JPEG or PNG. Null where there is no such version, or not yet."""

    big_1920: str | None
    big_thumb: str | None
    d2500: str | None
    original: str | None
    thumb: str | None


@dataclass(kw_only=True)
class Application:
    allowed_origins: list[str]
    """Where browsers may use the `application_id` from; empty: from nowhere."""
    application_id: str
    """A trusted sender of events within a project; public, so it can only write events and read public galleries."""
    created_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    ed25519_public_key: str | None
    """Base64url of the 32 bytes; null: user tokens are signed with the signing secret."""
    gallery_id: str | None
    name: str
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""


@dataclass(kw_only=True)
class ApplicationList:
    applications: list[Application]
    next_cursor: str | None


@dataclass(kw_only=True)
class ApplicationSecrets:
    older_keys_until: datetime | None = None
    """The end of the older keys; present after a rotation."""
    secret_key: str | None = None
    """The key for `Authorization: Bearer`; absent in the answer to a repetition."""
    secret_shown: bool | None = None
    """Always true, and present only in the answer to a repetition: the first answer had the secrets."""
    signing_secret: str | None = None
    """The HS256 key of user tokens: the text itself. Present when it is new."""


@dataclass(kw_only=True)
class ApplicationWithSecrets:
    """An application with the secrets that are shown once."""

    allowed_origins: list[str]
    """Where browsers may use the `application_id` from; empty: from nowhere."""
    application_id: str
    """A trusted sender of events within a project; public, so it can only write events and read public galleries."""
    created_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    ed25519_public_key: str | None
    """Base64url of the 32 bytes; null: user tokens are signed with the signing secret."""
    gallery_id: str | None
    name: str
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    older_keys_until: datetime | None = None
    """The end of the older keys; present after a rotation."""
    secret_key: str | None = None
    """The key for `Authorization: Bearer`; absent in the answer to a repetition."""
    secret_shown: bool | None = None
    """Always true, and present only in the answer to a repetition: the first answer had the secrets."""
    signing_secret: str | None = None
    """The HS256 key of user tokens: the text itself. Present when it is new."""


@dataclass(kw_only=True)
class BatchFile:
    """A file of a batch; only the name is required."""

    filename: str
    access_tier: Literal["free", "premium", "business"] | None = None
    content_type: str | None = None
    gallery_id: str | None = None
    link: str | None = None
    metadata: dict[str, Any] | None = None
    sha256: str | None = None
    """Hexadecimal."""
    size: int | None = None
    """Bytes."""
    tags: list[str] | None = None
    visibility: Literal["public", "private"] | None = None


@dataclass(kw_only=True)
class BoostRule:
    factor: float
    """The score is multiplied by it; a factor below 1 buries."""
    external_id: str | None = None
    image_id: str | None = None
    """One picture with its original and its versions."""
    tag: str | None = None
    """Selects every image with the tag."""
    from_: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""
    until: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""


@dataclass(kw_only=True)
class CohortRow:
    """Visitors first seen in the same period."""

    cohort: datetime
    """When that period begins."""
    returned: list[ReturnedItem]
    """How many of them were seen in the first period (all), the one after it, and so on."""
    visitors: int


@dataclass(kw_only=True)
class CountRow:
    """Events of a group within a bucket; the fields of `group_by` are there, the others not."""

    bucket: datetime | None
    count: int
    application: str | None = None
    """A trusted sender of events within a project; public, so it can only write events and read public galleries."""
    category: str | None = None
    name: str | None = None
    sessions: int | None = None
    """
    Different values of `session_id`; they do not add up over rows. Not there with `sessions=false`, nor for a row that
    has more events than are kept.
    """


@dataclass(kw_only=True)
class CountedImage:
    counter: Literal["views", "clicks"]
    gallery_id: str
    """A set of images with an order."""
    external_id: str | None = None
    image_id: str | None = None
    """One picture with its original and its versions."""


@dataclass(kw_only=True)
class CountedIn:
    day: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    hour: datetime
    """The roll-ups by hour and by day that hold it (UTC)."""
    gallery: CountedImage | None = None


@dataclass(kw_only=True)
class DatasetLoad:
    """The four counts add up to the rows of the body."""

    created: int
    rejected: list[RejectedRow]
    """The first 1,000 rows that were not taken."""
    rejected_count: int
    removed: int
    """Images that left the gallery, since a full feed does not have them any more."""
    unchanged: int
    updated: int
    not_removed: str | None = None
    """Why a full feed removed nothing, in a sentence."""


@dataclass(kw_only=True)
class DatasetRow:
    """A row of a dataset. Other fields are ignored."""

    external_id: str
    """Names the picture within its gallery. A whole number stands for its digits."""
    url: str
    """The picture."""
    access_tier: Literal["free", "premium", "business"] | None = None
    created_at: datetime | None = None
    """Also with another offset, or a date alone. The time of the first load unless stated."""
    height: int | None = None
    link: str | None = None
    """The page behind the picture."""
    name: str | None = None
    tags: list[str] | None = None
    """Each has at most 100 characters."""
    visibility: Literal["public", "private"] | None = None
    width: int | None = None
    """Pixels."""


@dataclass(kw_only=True)
class Erasure:
    erasure_id: str
    """A request to erase what a session did."""
    events: int | None
    """How many events were erased; null while that is not known."""
    finished_at: datetime | None
    requested_at: datetime
    """Events received up to then are erased; later ones of the same session are new."""
    state: Literal["hidden", "done"]
    """`hidden`: no answer shows the events; `done`: no file has them."""
    session_id: str | None = None
    """Absent if the whole project was deleted."""


@dataclass(kw_only=True)
class ErasureList:
    erasures: list[Erasure]
    next_cursor: str | None


@dataclass(kw_only=True)
class Event:
    application: str
    """A trusted sender of events within a project; public, so it can only write events and read public galleries."""
    category: str
    data: dict[str, Any]
    event_id: str
    """One event as its sender names it, or as the server does when the sender does not."""
    name: str
    received_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    session_id: str
    """One visit, as the sending application sees it."""
    timestamp: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    schema_version: int | None = None
    """The version of the schema that the event is checked against; absent when its type has none."""
    visitor_id: str | None = None


@dataclass(kw_only=True)
class EventBatch:
    accepted: int
    """Durable, and counted exactly once from now on."""
    duplicates: int
    """Sent before, or twice in this batch; nothing was changed."""
    rejected: list[RejectedEvent]


@dataclass(kw_only=True)
class EventDataVerdict:
    errors: dict[str, list[str]]
    """
    Field path to sentences, as the `errors` of a problem document. The empty path speaks of the body as a whole and is
    shown as `body`.
    """
    valid: bool
    version: int
    """The version of the schema that the data was checked against."""


@dataclass(kw_only=True)
class EventList:
    events: list[Event]
    next_cursor: str | None
    """Null at the end. A page may be short, or empty, and the list go on all the same."""
    complete_from: datetime | None = None
    """
    There when events with an earlier `timestamp` are asked for that are not all kept any more
    (`EYELINE_EVENTS_KEEP_DAYS`): the list is complete from then on.
    """


@dataclass(kw_only=True)
class EventReceipt:
    """What became of an event."""

    status: Literal["waiting", "counted", "quarantined"]
    """
    `waiting`: it is counted within a second. `counted`: it was counted, once. `quarantined`: it was accepted and does not
    count.
    """
    counted_in: CountedIn | None = None
    errors: dict[str, list[str]] | None = None
    """
    Field path to sentences, as the `errors` of a problem document. The empty path speaks of the body as a whole and is
    shown as `body`.
    """
    quarantined_at: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""
    reason: Literal["schema", "unknown_image", "invalid", "failed", "too_many_names"] | None = None
    """Why it is quarantined."""


@dataclass(kw_only=True)
class EventType:
    category: str
    created_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    description: str | None
    name: str
    on_invalid: Literal["reject", "quarantine"]
    """What becomes of an event that does not fit the schema of its type."""
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    schema: dict[str, Any] | bool | None
    updated_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    version: int
    """Rises with every other schema; never used again."""
    warnings: list[str] | None = None
    """In the answer to a PUT: what of the schema is not checked. A `format` describes a value; a `pattern` checks it."""


@dataclass(kw_only=True)
class EventTypeList:
    event_types: list[EventType]
    next_cursor: str | None


@dataclass(kw_only=True)
class EventTypeSettings:
    description: str | None = None
    on_invalid: Literal["reject", "quarantine"] | None = None
    schema: dict[str, Any] | bool | None = None


@dataclass(kw_only=True)
class EventWithReceipt:
    application: str
    """A trusted sender of events within a project; public, so it can only write events and read public galleries."""
    category: str
    data: dict[str, Any]
    event_id: str
    """One event as its sender names it, or as the server does when the sender does not."""
    name: str
    received_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    session_id: str
    """One visit, as the sending application sees it."""
    timestamp: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    receipt: EventReceipt
    schema_version: int | None = None
    """The version of the schema that the event is checked against; absent when its type has none."""
    visitor_id: str | None = None


@dataclass(kw_only=True)
class ExcludeRule:
    external_id: str | None = None
    image_id: str | None = None
    """One picture with its original and its versions."""
    tag: str | None = None
    """Selects every image with the tag."""
    from_: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""
    until: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""


@dataclass(kw_only=True)
class ExperimentArm:
    clicks: int
    clicks_per_session: float | None
    sessions: int
    strategy: Literal[
        "newest", "weight", "weight_decay", "trending", "ctr", "interest", "interest_fixed", "manual", "random"
    ]
    """A way to order a gallery. Without any event every one of them is exactly newest first."""
    views: int
    visitors: int


@dataclass(kw_only=True)
class FeatureReport:
    """What most answers are."""

    as_of: datetime
    """All events that were applied by then are in it."""
    served_from: Literal["rollup", "raw"]
    """Where the numbers come from."""
    rows: list[FeatureRow]
    complete_from: datetime | None = None
    """
    There when events with an earlier `timestamp` are asked about that are not all kept any more
    (`EYELINE_EVENTS_KEEP_DAYS`): what is found in events is complete from then on, and too small before.
    """


@dataclass(kw_only=True)
class FunnelReport:
    """What most answers are."""

    as_of: datetime
    """All events that were applied by then are in it."""
    served_from: Literal["rollup", "raw"]
    """Where the numbers come from."""
    rows: list[FunnelRow]
    complete_from: datetime | None = None
    """
    There when events with an earlier `timestamp` are asked about that are not all kept any more
    (`EYELINE_EVENTS_KEEP_DAYS`): what is found in events is complete from then on, and too small before.
    """


@dataclass(kw_only=True)
class GalleryItem:
    external_id: str | None
    height: int | None
    image_id: str
    """One picture with its original and its versions."""
    link: str | None
    name: str | None
    place: str | None
    """
    The place receipt. A view or click that returns it in its envelope tells ranking where the image was seen. Null
    outside of a page.
    """
    position: int | None
    """From 1; null for an image that the order does not have yet."""
    preview: str | None
    """The smallest."""
    srcset: str | None
    """For an `<img>`: every version with its width."""
    srcset_webp: str | None
    """
    For a `<source type="image/webp">` before that `<img>`: the same widths, as WebP where that was made; null when it
    was not.
    """
    thumbhash: str | None
    url: str | None
    """The largest picture."""
    width: int | None
    clicks: int | None = None
    counted_clicks: int | None = None
    counted_views: int | None = None
    """What a guarded gallery ranks by."""
    views: int | None = None
    weight: int | None = None


@dataclass(kw_only=True)
class GalleryPage:
    """One page of a gallery in its order."""

    gallery_id: str
    """A set of images with an order."""
    items: list[GalleryItem]
    next_cursor: str | None
    order_id: str
    """The published order that the page is of."""
    published_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    strategy: Literal[
        "newest", "weight", "weight_decay", "trending", "ctr", "interest", "interest_fixed", "manual", "random"
    ]
    """A way to order a gallery. Without any event every one of them is exactly newest first."""
    restarted: bool | None = None
    """True when the cursor's order is no longer kept, so that images may repeat; else absent."""


@dataclass(kw_only=True)
class GalleryUsageBucket:
    click_rate: float | None
    """Clicks for each view; null without views."""
    clicks: int
    views: int
    bucket: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""


@dataclass(kw_only=True)
class GalleryUsageImage:
    click_rate: float | None
    """Clicks for each view; null without views."""
    clicks: int
    views: int
    external_id: str | None
    image_id: str | None


@dataclass(kw_only=True)
class Image:
    access_tier: Literal["free", "premium", "business"]
    """A tier of users, projects or images."""
    bytes: int | None
    """Of the original."""
    content_type: str | None
    created_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    error: str | None
    """Why the image ended in state `error`, in a sentence."""
    error_code: (
        Literal[
            "truncated",
            "not_an_image",
            "too_many_pixels",
            "unsupported",
            "damaged",
            "decoder_crashed",
            "timed_out",
            "not_as_stated",
            "never_arrived",
            "processing_failed",
            "worker_died",
        ]
        | None
    )
    filename: str
    height: int | None
    image_id: str
    """One picture with its original and its versions."""
    link: str | None
    metadata: dict[str, Any]
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    renditions: list[Rendition]
    """Every file of a version, one for each name and type: with WebP switched on, a name may be there twice."""
    sha256: str | None
    """Of the original, hexadecimal."""
    state: Literal["init", "uploaded", "processing", "done", "error"]
    tags: list[str]
    thumbhash: str | None
    """Base64."""
    updated_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    url: str | None
    """The address of a dataset's picture, which has no versions."""
    versions: Versions
    """All null until the image is `done`; `original` is there on `error` too, and only for keys and the image's own user."""
    visibility: Literal["public", "private"]
    """Whether everybody may see it."""
    width: int | None
    """Pixels, upright."""


@dataclass(kw_only=True)
class ImageChange:
    """What may be changed; what is left out stays."""

    access_tier: Literal["free", "premium", "business"] | None = None
    link: str | None = None
    """A page to go to from the image; null or empty removes it."""
    metadata: dict[str, Any] | None = None
    """At most 16 KiB of JSON."""
    tags: list[str] | None = None
    """Each has at most 100 characters."""
    visibility: Literal["public", "private"] | None = None


@dataclass(kw_only=True)
class ImageList:
    images: list[Image]
    next_cursor: str | None


@dataclass(kw_only=True)
class Job:
    attempts: int
    created_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    deaths: int
    """Workers that died on it."""
    job_id: str
    """A piece of background work."""
    kind: str
    reason: str
    """Why it was given up."""
    state: Literal["dead"]
    """Always `dead`: jobs that wait or run are not listed."""
    subject: str
    """What the job is about: an image, a project."""


@dataclass(kw_only=True)
class JobList:
    jobs: list[Job]
    next_cursor: str | None


@dataclass(kw_only=True)
class NewApplication:
    name: str
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    allowed_origins: list[str] | None = None
    """Such as `https://shop.example`; none by default. Each has at most 255 characters."""


@dataclass(kw_only=True)
class NewErasure:
    session_id: str
    """One visit, as the sending application sees it."""


@dataclass(kw_only=True)
class NewEvent:
    """An event as it is sent; unknown fields are ignored."""

    category: str
    data: dict[str, Any]
    name: str
    session_id: str
    """One visit, as the sending application sees it."""
    timestamp: datetime
    """At most 24 hours ahead of the server's clock."""
    client: EventClient | None = None
    event_id: str | None = None
    place: str | None = None
    """
    The place receipt of the gallery's item that was seen or clicked. With it, the strategy `interest` learns where the
    image was seen. One that is not valid is ignored.
    """
    visitor_id: str | None = None


@dataclass(kw_only=True)
class NewEventBatch:
    events: list[NewEvent]


NewEvents: TypeAlias = NewEventBatch | list[NewEvent]
"""The two forms of a batch in JSON."""


@dataclass(kw_only=True)
class NewImage:
    """A file about to be sent; only the name is required."""

    filename: str
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    access_tier: Literal["free", "premium", "business"] | None = None
    content_type: str | None = None
    gallery_id: str | None = None
    link: str | None = None
    """A page to go to from the image."""
    metadata: dict[str, Any] | None = None
    """At most 16 KiB of JSON."""
    sha256: str | None = None
    """Hexadecimal."""
    size: int | None = None
    """Bytes."""
    tags: list[str] | None = None
    """Each has at most 100 characters."""
    visibility: Literal["public", "private"] | None = None


@dataclass(kw_only=True)
class NewImages:
    files: list[BatchFile]
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    access_tier: Literal["free", "premium", "business"] | None = None
    gallery_id: str | None = None
    tags: list[str] | None = None
    visibility: Literal["public", "private"] | None = None


@dataclass(kw_only=True)
class NewProject:
    name: str
    tier: Literal["free", "premium", "business"] | None = None


@dataclass(kw_only=True)
class OptionalUploadLink:
    """The upload link of a file that was `created`."""

    expires_at: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""
    image_id: str | None = None
    """One picture with its original and its versions."""
    params: UploadParams | None = None
    state: Literal["init", "uploaded", "processing", "done", "error"] | None = None
    upload_link: str | None = None


@dataclass(kw_only=True)
class OrderEstimate:
    enough_data: bool
    gallery_id: str
    """A set of images with an order."""
    interval: list[float] | None
    """The 95 % interval of the lift."""
    lift: float | None
    """Clicks by the order asked about above those by the gallery's own, as a part of these."""
    message: str | None
    """`not enough data yet` while that is so, with what is missing."""
    order: Literal[
        "newest", "weight", "weight_decay", "trending", "ctr", "interest", "interest_fixed", "manual", "random"
    ]
    """The one that is asked about."""
    order_clicks: float | None
    places: int
    """So many places of both are compared, from the first one on."""
    strategy: Literal[
        "newest", "weight", "weight_decay", "trending", "ctr", "interest", "interest_fixed", "manual", "random"
    ]
    """The gallery's own, which is shown."""
    strategy_clicks: float | None
    """Clicks of a visitor who scrolls through all of these, by either order."""


@dataclass(kw_only=True)
class PathReport:
    as_of: datetime
    """All events that were applied by then are in it."""
    served_from: Literal["rollup", "raw"]
    """Where the numbers come from."""
    rows: list[PathRow]
    """Paths of exactly `depth` steps, the most common first."""
    transitions: list[PathRow]
    """From one step to the next, whatever the anchor."""
    visits: int
    """Sessions, each split after 30 minutes of silence."""
    complete_from: datetime | None = None
    """
    There when events with an earlier `timestamp` are asked about that are not all kept any more
    (`EYELINE_EVENTS_KEEP_DAYS`): what is found in events is complete from then on, and too small before.
    """


@dataclass(kw_only=True)
class PinRule:
    position: int
    """From 1."""
    external_id: str | None = None
    image_id: str | None = None
    """One picture with its original and its versions."""
    tag: str | None = None
    """Selects every image with the tag."""
    from_: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""
    until: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""


@dataclass(kw_only=True)
class Project:
    created_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    name: str
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    tier: Literal["free", "premium", "business"]
    """A tier of users, projects or images."""


@dataclass(kw_only=True)
class ProjectChange:
    name: str | None = None
    tier: Literal["free", "premium", "business"] | None = None


@dataclass(kw_only=True)
class ProjectList:
    next_cursor: str | None
    projects: list[Project]


@dataclass(kw_only=True)
class ProjectUsage:
    bytes: int
    """Bytes of the originals."""
    events: int
    """Events that count, over all time."""
    images: int
    """Images, those of datasets included. Uploads that never arrived and pictures that left with a full feed do not count."""
    quarantined: QuarantineUsage
    quotas: ProjectQuotas
    rollup_rows_today: int
    """
    New rows of the roll-up by hour that events have made today (UTC): one for each hour, application, category and
    name.
    """
    tier: Literal["free", "premium", "business"]
    """A tier of users, projects or images."""


@dataclass(kw_only=True)
class QuarantineCause:
    category: str
    events: int
    first_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    last_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    name: str
    reason: Literal["schema", "unknown_image", "invalid", "failed", "too_many_names"]
    """
    Why an event is quarantined. `schema`: it does not fit the schema of its type. `unknown_image`: the project has no such
    gallery or image. `invalid`: it lacks what a gallery's event needs. `failed`: the server could not apply it.
    `too_many_names`: the project's events have made as many new rows in roll-ups today as they may.
    """


@dataclass(kw_only=True)
class QuarantineCauseList:
    causes: list[QuarantineCause]


@dataclass(kw_only=True)
class QuarantinedEvent:
    application: str
    """A trusted sender of events within a project; public, so it can only write events and read public galleries."""
    category: str
    data: dict[str, Any]
    event_id: str
    """One event as its sender names it, or as the server does when the sender does not."""
    name: str
    received_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    session_id: str
    """One visit, as the sending application sees it."""
    timestamp: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    errors: dict[str, list[str]]
    """
    Field path to sentences, as the `errors` of a problem document. The empty path speaks of the body as a whole and is
    shown as `body`.
    """
    quarantined_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    reason: Literal["schema", "unknown_image", "invalid", "failed", "too_many_names"]
    """
    Why an event is quarantined. `schema`: it does not fit the schema of its type. `unknown_image`: the project has no such
    gallery or image. `invalid`: it lacks what a gallery's event needs. `failed`: the server could not apply it.
    `too_many_names`: the project's events have made as many new rows in roll-ups today as they may.
    """
    schema_version: int | None = None
    """The version of the schema that the event is checked against; absent when its type has none."""
    visitor_id: str | None = None


@dataclass(kw_only=True)
class RankExplanation:
    """Every part of an image's score, so that it can be recomputed by hand."""

    age_factor: float
    arm: Literal["control", "treatment"] | None
    boost: float
    """What the rules multiply the score by."""
    bound: float
    click_rate: float
    """The gallery's clicks a view, and how many views it is worth, in the strategy `ctr`."""
    click_rate_views: float
    click_weight: int
    clicks: int
    counted_clicks: int
    counted_views: int
    decayed_clicks: float
    decayed_views: float
    """Views and clicks, each counted less the older it is."""
    draw: float | None
    """What the image is given the chance to be, in the strategy `interest` once enough is known; else null."""
    exposure: float
    formula: str
    """How the score follows from the parts."""
    gallery_id: str
    """A set of images with an order."""
    guard: bool
    """Without what the gallery's guard left out; a guarded gallery ranks by these."""
    hits: float
    """
    Clicks, and views times the attention of their place and the image's age, where the server knows the place; each
    counted less the older it is.
    """
    image_id: str
    """One picture with its original and its versions."""
    m: float
    """
    Mean and standard deviation of what the image's appeal is believed to be:
    `m = (prior_shape + hits) / (prior_shape / prior_mean + exposure)`, `sd = sqrt(prior_shape + hits) / (…)`.
    """
    neighbours: Neighbours
    order_id: str
    """A published order of a gallery."""
    pin: int | None
    """The position that a rule pins the image to."""
    position: int | None
    """From 1; null while the order does not have the image."""
    prior_mean: float
    """The mean appeal of the gallery's images, and how alike they are."""
    prior_shape: float
    published_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    rule: Literal["pin", "boost"] | None
    score: float
    sd: float
    snapshot: int
    """Which of the orders side by side."""
    strategy: Literal[
        "newest", "weight", "weight_decay", "trending", "ctr", "interest", "interest_fixed", "manual", "random"
    ]
    """A way to order a gallery. Without any event every one of them is exactly newest first."""
    temper: float
    view_weight: int
    views: int
    weight: int
    """`view_weight * views + click_weight * clicks`."""


@dataclass(kw_only=True)
class RankingChange:
    click_weight: int | None = None
    guard: bool | None = None
    """Rank without robots and forged clicks, as far as the guard detects them; the shown numbers stay exact."""
    half_life: float | None = None
    """Days after which an event counts half, in the strategies in which events lose weight; 14 when null."""
    holdout_control: Literal["newest", "weight"] | None = None
    holdout_percent: int | None = None
    """The share of visitors who see the control order."""
    strategy: (
        Literal["newest", "weight", "weight_decay", "trending", "ctr", "interest", "interest_fixed", "manual", "random"]
        | None
    ) = None
    view_weight: int | None = None


@dataclass(kw_only=True)
class RankingSettings:
    click_weight: int
    half_life: float | None
    """Days; null: 14."""
    strategy: Literal[
        "newest", "weight", "weight_decay", "trending", "ctr", "interest", "interest_fixed", "manual", "random"
    ]
    """A way to order a gallery. Without any event every one of them is exactly newest first."""
    view_weight: int
    guard: bool | None = None
    """
    It ranks by `counted_views` and `counted_clicks`: without robots and forged clicks, as far as can be told. With a key
    only.
    """
    holdout_control: Literal["newest", "weight"] | None = None
    """With a key only."""
    holdout_percent: int | None = None
    """The share of visitors who see the control order. With a key only."""


@dataclass(kw_only=True)
class ReportBasis:
    """What every answer tells of itself."""

    as_of: datetime
    """All events that were applied by then are in it."""
    served_from: Literal["rollup", "raw"]
    """Where the numbers come from."""
    complete_from: datetime | None = None
    """
    There when events with an earlier `timestamp` are asked about that are not all kept any more
    (`EYELINE_EVENTS_KEEP_DAYS`): what is found in events is complete from then on, and too small before.
    """


@dataclass(kw_only=True)
class RetentionReport:
    as_of: datetime
    """All events that were applied by then are in it."""
    served_from: Literal["rollup", "raw"]
    """Where the numbers come from."""
    events_without_visitor: int
    """Events that name no `visitor_id`: who sent them is not known, and not guessed from sessions."""
    note: str | None
    """Says so when there are such events."""
    rows: list[CohortRow]
    complete_from: datetime | None = None
    """
    There when events with an earlier `timestamp` are asked about that are not all kept any more
    (`EYELINE_EVENTS_KEEP_DAYS`): what is found in events is complete from then on, and too small before.
    """


@dataclass(kw_only=True)
class RulePeriod:
    """When a rule holds: from `from`, included, to `until`, excluded."""

    from_: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""
    until: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""


@dataclass(kw_only=True)
class SignInLink:
    """A sign-in link that works once."""

    expires_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    ticket: str
    url: str
    """The web application's address with the ticket in it."""


@dataclass(kw_only=True)
class SqlColumn:
    name: str
    type: Literal["text", "integer", "number", "boolean", "timestamp", "date", "time", "interval", "null"]


@dataclass(kw_only=True)
class SqlReport:
    as_of: datetime
    """All events that were applied by then are in it."""
    served_from: Literal["rollup", "raw"]
    """Where the numbers come from."""
    columns: list[SqlColumn]
    """In the order of the query."""
    rows: list[dict[str, Any]]
    """An object for each row, by the names of the columns."""
    truncated: bool
    """There are more rows, which are not given."""
    complete_from: datetime | None = None
    """
    There when events with an earlier `timestamp` are asked about that are not all kept any more
    (`EYELINE_EVENTS_KEEP_DAYS`): what is found in events is complete from then on, and too small before.
    """


@dataclass(kw_only=True)
class StoredGalleryRules:
    """The rules of a gallery as they are stored."""

    boost: list[BoostRule]
    exclude: list[ExcludeRule]
    group_cap: GroupCap | None
    manual: list[ImageSelector]
    pin: list[PinRule]


@dataclass(kw_only=True)
class StoredGalleryRulesPublished:
    """What was stored, and whether the next page shows it."""

    boost: list[BoostRule]
    exclude: list[ExcludeRule]
    group_cap: GroupCap | None
    manual: list[ImageSelector]
    pin: list[PinRule]
    published: bool
    """False if the gallery's orders are still being made."""


@dataclass(kw_only=True)
class StreamMessage:
    type: Literal["reset"]
    at: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""
    error: str | None = None
    """Why the image ended in `error`, in a sentence."""
    error_code: (
        Literal[
            "truncated",
            "not_an_image",
            "too_many_pixels",
            "unsupported",
            "damaged",
            "decoder_crashed",
            "timed_out",
            "not_as_stated",
            "never_arrived",
            "processing_failed",
            "worker_died",
        ]
        | None
    ) = None
    image_id: str | None = None
    """One picture with its original and its versions."""
    project_id: str | None = None
    """The owner of images, galleries and events; the wall between tenants."""
    seq: int | None = None
    state: Literal["init", "uploaded", "processing", "done", "error"] | None = None
    versions: Versions | None = None
    gallery_id: str | None = None
    """A set of images with an order."""


@dataclass(kw_only=True)
class StreamTicket:
    expires_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    secret_shown: bool | None = None
    """Always true, and present only in the answer to a repetition: the first answer had the ticket."""
    ticket: str | None = None
    """For `?ticket=` of the stream; absent in the answer to a repetition."""


@dataclass(kw_only=True)
class TestClock:
    now: datetime
    """What the product's clock tells; it runs on from there."""


@dataclass(kw_only=True)
class UploadLink:
    """An image in state `init` and how to send its file, without any credential."""

    expires_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    image_id: str
    """One picture with its original and its versions."""
    params: UploadParams
    state: Literal["init", "uploaded", "processing", "done", "error"]
    upload_link: str


@dataclass(kw_only=True)
class UploadLinks:
    images: list[UploadVerdict]
    """One for each file, in their order."""


@dataclass(kw_only=True)
class UploadList:
    images: list[Image]
    next_cursor: str | None


@dataclass(kw_only=True)
class CountReport:
    """What most answers are."""

    as_of: datetime
    """All events that were applied by then are in it."""
    served_from: Literal["rollup", "raw"]
    """Where the numbers come from."""
    rows: list[CountRow]
    complete_from: datetime | None = None
    """
    There when events with an earlier `timestamp` are asked about that are not all kept any more
    (`EYELINE_EVENTS_KEEP_DAYS`): what is found in events is complete from then on, and too small before.
    """


@dataclass(kw_only=True)
class Experiment:
    control: ExperimentArm
    enough_data: bool
    gallery_id: str
    """A set of images with an order."""
    holdout_percent: int
    interval: list[float] | None
    """The 95 % interval of the lift, visitors being what is drawn (delta method)."""
    lift: float | None
    """Clicks a session of the treatment above those of the control, as a part of these."""
    message: str | None
    """`not enough data yet` while that is so; or that nothing is compared, both groups seeing the same order."""
    sample_ratio: SampleRatio
    treatment: ExperimentArm
    """Of the gallery's strategy and of its `holdout_control`, while these and `holdout_percent` were what they are now."""


@dataclass(kw_only=True)
class Gallery:
    access_tier: Literal["free", "premium", "business"]
    """A tier of users, projects or images."""
    created_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    gallery_id: str
    """A set of images with an order."""
    name: str
    page: PublicPage
    page_size: int
    """Items of a page when the request does not say."""
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    ranking: RankingSettings
    updated_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    visibility: Literal["public", "private"]
    """Whether everybody may see it."""
    applied_events: int | None = None
    """View and click events counted so far. With a key only."""
    ignored_events: int | None = None
    """Of these, those that the guard left out of the ranking. With a key only."""


@dataclass(kw_only=True)
class GalleryChange:
    """What to change of a gallery."""

    access_tier: Literal["free", "premium", "business"] | None = None
    name: str | None = None
    page: PublicPageChange | None = None
    page_size: int | None = None
    ranking: RankingChange | None = None
    visibility: Literal["public", "private"] | None = None


@dataclass(kw_only=True)
class GalleryList:
    galleries: list[Gallery]
    next_cursor: str | None


@dataclass(kw_only=True)
class GalleryPublished:
    """What was stored, and whether the next page shows it."""

    access_tier: Literal["free", "premium", "business"]
    """A tier of users, projects or images."""
    created_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    gallery_id: str
    """A set of images with an order."""
    name: str
    page: PublicPage
    page_size: int
    """Items of a page when the request does not say."""
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    ranking: RankingSettings
    updated_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    visibility: Literal["public", "private"]
    """Whether everybody may see it."""
    published: bool
    """False if the gallery's orders are still being made."""
    applied_events: int | None = None
    """View and click events counted so far. With a key only."""
    ignored_events: int | None = None
    """Of these, those that the guard left out of the ranking. With a key only."""


@dataclass(kw_only=True)
class GalleryRules:
    """
    The rules of a gallery. Every rule selects its images by exactly one of `image_id`, `external_id` and `tag`, and may
    hold only `from` one time `until` another.
    """

    boost: list[BoostRule] | None = None
    """Multiplies scores."""
    exclude: list[ExcludeRule] | None = None
    """Hides images."""
    group_cap: GroupCap | None = None
    manual: list[ImageSelector] | None = None
    """The order of the strategy `manual`; images that are not named follow, newest first."""
    pin: list[PinRule] | None = None
    """Fixes images at positions."""


@dataclass(kw_only=True)
class GalleryUsage:
    as_of: datetime
    """All events that were applied by then are in it."""
    served_from: Literal["rollup", "raw"]
    """Where the numbers come from."""
    experiment: Experiment | None
    over_time: list[GalleryUsageBucket]
    placed_share: float | None
    """The share of views with a valid place receipt, from 0 to 1; null without views."""
    positions: list[GalleryUsagePosition]
    """Of the events with a valid place receipt."""
    rows: list[GalleryUsageImage]
    """Images, the most viewed first."""
    total: UsageNumbers
    complete_from: datetime | None = None
    """
    There when events with an earlier `timestamp` are asked about that are not all kept any more
    (`EYELINE_EVENTS_KEEP_DAYS`): what is found in events is complete from then on, and too small before.
    """


@dataclass(kw_only=True)
class NewGallery:
    """A gallery to create; only the project and the name are required."""

    name: str
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    access_tier: Literal["free", "premium", "business"] | None = None
    page: PublicPageChange | None = None
    page_size: int | None = 20
    """Items of a page when the request does not say."""
    ranking: RankingChange | None = None
    visibility: Literal["public", "private"] | None = None


@dataclass(kw_only=True)
class QuarantineList:
    events: list[QuarantinedEvent]
    next_cursor: str | None
