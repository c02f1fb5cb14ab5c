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
    32 bytes as base64 or base64url, or a PEM; the empty text removes it. While it is set, user tokens have to be
    signed with its private key (EdDSA).
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
    """False if the server only works more slowly without it."""


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
    """Distinct values of `session_id`."""


FileBytes: TypeAlias = bytes
"""The bytes of a file."""


@dataclass(kw_only=True)
class FunnelRow:
    category: str
    name: str
    of_first: float | None
    of_previous: float | None
    """The share of the sessions at the step before, and at the first step; null if there are none."""
    sessions: int
    """Sessions, each split after 30 minutes of silence, that took this step and all before it."""
    step: int
    """From 1."""


@dataclass(kw_only=True)
class GalleryItemNumbers:
    """The counters of an item, for keys only."""

    clicks: int | None = None
    counted_clicks: int | None = None
    counted_views: int | None = None
    """The views and clicks by which a guarded gallery ranks."""
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
    """Exactly one of the three is present."""

    external_id: str | None = None
    image_id: str | None = None
    """An image with its original and its versions."""
    tag: str | None = None
    """Selects every image with the tag."""


@dataclass(kw_only=True)
class ImageStateAnswer:
    image_id: str
    """An image with its original and its versions."""
    state: Literal["init", "uploaded", "processing", "done", "error"]


@dataclass(kw_only=True)
class IncomingForm:
    """The form of an upload link: all of the link's `fields`, then the file."""

    file: bytes
    key: str
    policy: str
    signature: str


@dataclass(kw_only=True)
class Limits:
    content_types: list[str]
    """Types of files that are accepted."""
    max_batch_files: int
    """Files of one batch of links."""
    max_file_bytes: int
    """Bytes of a file."""
    max_images: int | None
    """Images of the project or user; null: no limit."""
    upload_link_seconds: int
    """Seconds that an upload link lives."""


@dataclass(kw_only=True)
class Neighbour:
    image_id: str
    """An image with its original and its versions."""
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
class PartLink:
    """A link that takes a `PUT` of exactly this part with all `headers`, without a credential."""

    headers: dict[str, str]
    number: int
    upload_link: str


ReceivedItem: TypeAlias = int


Number: TypeAlias = int


@dataclass(kw_only=True)
class PartNumbers:
    """The parts to be sent next."""

    numbers: list[Number]
    """The first part has the number 1. Without a number, the answer only says what has arrived."""


@dataclass(kw_only=True)
class PastRules:
    """A rule that was changed counts in both numbers. The group cap and the manual order count as one rule each."""

    added: int
    removed: int


@dataclass(kw_only=True)
class PathRow:
    count: int
    """The number of times that these steps followed each other."""
    steps: list[EventTypeName]


MissingItem: TypeAlias = int


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
    code: str | None = None
    """Names an error that programs tell from others of its status: `order_pending`."""
    errors: dict[str, list[str]] | None = None
    """The errors of invalid input, by field."""
    missing: list[MissingItem] | None = None
    """The numbers of the first 100 parts that have not arrived."""


@dataclass(kw_only=True)
class ProjectQuotas:
    """The project's limits; null: no limit."""

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
    The gallery's public page, `/g/{gallery_id}`. Everybody can open it while it is enabled and the gallery is public
    and free.
    """

    application_id: str | None
    enabled: bool
    indexed: bool
    """True if search engines may list the page."""


@dataclass(kw_only=True)
class PublicPageChange:
    enabled: bool | None = None
    """True opens `/g/{gallery_id}` to everybody. The first time, it creates the application of the page."""
    indexed: bool | None = None
    """True lets search engines list the page; false by default."""


@dataclass(kw_only=True)
class QuarantineUsage:
    """The project's quarantine."""

    bytes: int
    """Bytes of the events and their reasons."""
    dropped: int
    """Events that were dropped because the quarantine was full."""
    events: int


@dataclass(kw_only=True)
class Readiness:
    engines: list[Engine]
    ready: bool
    """True if requests should be sent to this server."""
    roles: list[str]
    """The roles of the process: `api`, `worker`, `ingest`."""
    stopping: bool
    """True once the process was asked to stop."""
    troubles: list[str]
    """Further reasons why the server is not ready, as sentences."""
    warnings: list[str]
    """Faults that an operator should correct although the server works, as sentences."""


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
    Sentences by field path, as in the `errors` of a problem document. The empty path stands for the whole body and is
    shown as `body`.
    """
    index: int
    """The event's number in the batch, from 0. Empty lines do not count."""


@dataclass(kw_only=True)
class RejectedRow:
    errors: dict[str, list[str]]
    """Sentences by field; `row` stands for the row as a whole."""
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
    """
    A call checks at most 20,000 events and takes about 10 s; the next call continues from here. Null: all were
    checked.
    """
    replayed: int
    """Events that count from now on."""
    still_failing: int


@dataclass(kw_only=True)
class ReplayOrder:
    category: str | None = None
    cursor: str | None = None
    """The `next_cursor` of the call before."""
    dry_run: bool | None = None
    """True changes nothing and returns what would happen."""
    name: str | None = None
    project_id: str | None = None
    reason: Literal["schema", "unknown_image", "invalid", "failed", "too_many_names"] | None = None


@dataclass(kw_only=True)
class RotationOrder:
    overlap_seconds: int | None = 86400
    """Seconds for which the older keys stay valid; 0 ends them with the answer."""
    signing_secret: bool | None = None
    """True replaces the signing secret too; tokens signed with the old one end immediately."""


@dataclass(kw_only=True)
class SampleRatio:
    """Compares the sizes of the groups with the share of the hold-out. If `ok` is false, the lift cannot be trusted."""

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
    """True if the request has the cookie of a signed-in browser."""


@dataclass(kw_only=True)
class SignIn:
    """The credential of a sign-in: one of the two."""

    admin_key: str | None = None
    ticket: str | None = None
    """From the link that the server prints at its start or `eyeline link` prints; works once, within 30 minutes."""


@dataclass(kw_only=True)
class SqlQuestion:
    """A question in SQL."""

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
    """The form of a user's upload."""

    data: bytes
    """The file."""
    tier: Literal["free", "premium", "business"] | None = None
    user_id: str | None = None
    """With a key: the user who owns the upload. It comes before the file, or in the query."""


@dataclass(kw_only=True)
class UploadParams:
    fields: dict[str, str]
    headers: dict[str, str]
    method: Literal["PUT", "POST", "PARTS"]
    """
    `PUT` with all `headers` and the file as the body, or `POST` of a form with all `fields`, and the file last, as
    the field `file`. `PARTS`: each part is sent to its own link of `POST /images/{image_id}/parts`.
    """
    part_bytes: int | None = None
    """With the method `PARTS`: the size of every part but the last, in bytes."""


@dataclass(kw_only=True)
class UploadVerdict:
    """The verdict on one file. With `created` it has all fields of an upload link, otherwise none of them."""

    filename: str | None
    """Null when the file named none."""
    verdict: Literal["created", "duplicate", "repeated", "over_quota", "too_large", "wrong_type", "invalid"]
    """
    `created`: the file has a link. `duplicate`: the image `duplicate_of` has a file with the same hash. `repeated`:
    an earlier file of this call, of the image `duplicate_of`, has the same hash; its link is for both.
    `over_quota`, `too_large`, `wrong_type` or `invalid`: the file is refused.
    """
    expires_at: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""
    image_id: str | None = None
    """An image with its original and its versions."""
    params: UploadParams | None = None
    state: Literal["init", "uploaded", "processing", "done", "error"] | None = None
    upload_link: str | None = None
    detail: str | None = None
    """The reason for the verdict, as a sentence."""
    duplicate_of: str | None = None
    """The image of the same file; with `duplicate` and `repeated`."""
    errors: dict[str, list[str]] | None = None
    """The errors by field; with `invalid`."""


@dataclass(kw_only=True)
class UsageNumbers:
    click_rate: float | None
    """Clicks for each view; null without views."""
    clicks: int
    views: int


@dataclass(kw_only=True)
class Versions:
    """Links to the versions, as JPEG or PNG. Null for a version that does not exist, or not yet."""

    big_1920: str | None
    big_thumb: str | None
    d2500: str | None
    original: str | None
    thumb: str | None


@dataclass(kw_only=True)
class Application:
    allowed_origins: list[str]
    """Origins of pages that may use the `application_id`. Empty: none."""
    application_id: str
    """
    A sender of events in a project, such as a web site. The id is public: it sends events and reads public
    galleries.
    """
    created_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    ed25519_public_key: str | None
    """Base64url of the 32 bytes; null: user tokens are signed with the signing secret."""
    gallery_id: str | None
    name: str
    project_id: str
    """A tenant: the owner of images, galleries and events. Nothing of it is visible from another project."""


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
    """Origins of pages that may use the `application_id`. Empty: none."""
    application_id: str
    """
    A sender of events in a project, such as a web site. The id is public: it sends events and reads public
    galleries.
    """
    created_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    ed25519_public_key: str | None
    """Base64url of the 32 bytes; null: user tokens are signed with the signing secret."""
    gallery_id: str | None
    name: str
    project_id: str
    """A tenant: the owner of images, galleries and events. Nothing of it is visible from another project."""
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
    multipart: bool | None = None
    """True to send the file in parts, which go on after a break. Needs a `size` of at least 8 MiB."""
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
    """An image with its original and its versions."""
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
    """The start of that period."""
    returned: list[ReturnedItem]
    """The number of them who were seen in the first period (all of them), in the next one, and so on."""
    visitors: int


@dataclass(kw_only=True)
class CountRow:
    """Events of a group within a bucket. Of the group's fields only those in `group_by` are present."""

    bucket: datetime | None
    count: int
    application: str | None = None
    """
    A sender of events in a project, such as a web site. The id is public: it sends events and reads public
    galleries.
    """
    category: str | None = None
    name: str | None = None
    sessions: int | None = None
    """
    Distinct values of `session_id`, which cannot be summed over rows. Absent with `sessions=false`, and for a row
    whose events are not all kept any more.
    """


@dataclass(kw_only=True)
class CountedImage:
    counter: Literal["views", "clicks"]
    gallery_id: str
    """A set of images with an order."""
    external_id: str | None = None
    image_id: str | None = None
    """An image with its original and its versions."""


@dataclass(kw_only=True)
class CountedIn:
    day: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    hour: datetime
    """The roll-ups by hour and by day (UTC) that count it."""
    gallery: CountedImage | None = None


@dataclass(kw_only=True)
class DatasetLoad:
    """The four counts add up to the rows of the body."""

    created: int
    rejected: list[RejectedRow]
    """The first 1,000 rejected rows."""
    rejected_count: int
    removed: int
    """Images that were removed from the gallery, because the full feed no longer has them."""
    unchanged: int
    updated: int
    not_removed: str | None = None
    """The reason why a full feed removed nothing, as a sentence."""


@dataclass(kw_only=True)
class DatasetRow:
    """A row of a dataset. Other fields are ignored."""

    external_id: str
    """Names the picture within its gallery. A whole number stands for its digits."""
    url: str
    """The picture."""
    access_tier: Literal["free", "premium", "business"] | None = None
    created_at: datetime | None = None
    """Other offsets and a date alone are accepted too. By default the time of the first load."""
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
    """A request to erase the events of a session."""
    events: int | None
    """The number of erased events; null until it is known."""
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
    """
    A sender of events in a project, such as a web site. The id is public: it sends events and reads public
    galleries.
    """
    category: str
    data: dict[str, Any]
    event_id: str
    """An event. The sender may choose the id; otherwise the server does."""
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
    Sentences by field path, as in the `errors` of a problem document. The empty path stands for the whole body and is
    shown as `body`.
    """
    valid: bool
    version: int
    """The version of the schema that the data was checked against."""


@dataclass(kw_only=True)
class EventList:
    events: list[Event]
    next_cursor: str | None
    """Null at the end of the list. A page before the end may be short or empty."""
    complete_from: datetime | None = None
    """
    Present if the span reaches back before the retention period (`EYELINE_EVENTS_KEEP_DAYS`). The list is complete
    from this `timestamp` on.
    """


@dataclass(kw_only=True)
class EventReceipt:
    """The state of an event."""

    status: Literal["waiting", "counted", "quarantined"]
    """
    `waiting`: it is counted within a second. `counted`: it was counted, once. `quarantined`: it was accepted and
    does not count.
    """
    counted_in: CountedIn | None = None
    errors: dict[str, list[str]] | None = None
    """
    Sentences by field path, as in the `errors` of a problem document. The empty path stands for the whole body and is
    shown as `body`.
    """
    quarantined_at: datetime | None = None
    """A time: RFC 3339, answered in UTC with microseconds."""
    reason: Literal["schema", "unknown_image", "invalid", "failed", "too_many_names"] | None = None
    """The reason why it is quarantined."""


@dataclass(kw_only=True)
class EventType:
    category: str
    created_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    description: str | None
    name: str
    on_invalid: Literal["reject", "quarantine"]
    """The treatment of an event that does not fit the schema of its type."""
    project_id: str
    """A tenant: the owner of images, galleries and events. Nothing of it is visible from another project."""
    schema: dict[str, Any] | bool | None
    updated_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    version: int
    """Rises with each change of the schema, and is never reused."""
    warnings: list[str] | None = None
    """
    In the answer to a PUT: the parts of the schema that are not checked. A `format` only describes a value; a
    `pattern` checks it.
    """


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
    """
    A sender of events in a project, such as a web site. The id is public: it sends events and reads public
    galleries.
    """
    category: str
    data: dict[str, Any]
    event_id: str
    """An event. The sender may choose the id; otherwise the server does."""
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
    """An image with its original and its versions."""
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
    """A rule that ranks images. Without events every strategy shows the newest image first."""
    views: int
    visitors: int


@dataclass(kw_only=True)
class FeatureReport:
    """Rows with the basis of the answer."""

    as_of: datetime
    """The answer contains all events that were applied by then."""
    served_from: Literal["rollup", "raw"]
    """The source of the figures."""
    rows: list[FeatureRow]
    complete_from: datetime | None = None
    """
    Present if the span reaches back before the retention period (`EYELINE_EVENTS_KEEP_DAYS`). Figures that need
    events are complete from this `timestamp` on, and too small before.
    """


@dataclass(kw_only=True)
class FunnelReport:
    """Rows with the basis of the answer."""

    as_of: datetime
    """The answer contains all events that were applied by then."""
    served_from: Literal["rollup", "raw"]
    """The source of the figures."""
    rows: list[FunnelRow]
    complete_from: datetime | None = None
    """
    Present if the span reaches back before the retention period (`EYELINE_EVENTS_KEEP_DAYS`). Figures that need
    events are complete from this `timestamp` on, and too small before.
    """


@dataclass(kw_only=True)
class GalleryItem:
    external_id: str | None
    height: int | None
    image_id: str
    """An image with its original and its versions."""
    link: str | None
    name: str | None
    place: str | None
    """
    The place receipt. A view or click that returns it beside its `data` proves the rank at which the image was
    served. Null outside of a page.
    """
    position: int | None
    """From 1; null for an image that the order does not have yet."""
    preview: str | None
    """The smallest."""
    srcset: str | None
    """For an `<img>`: every version with its width."""
    srcset_webp: str | None
    """
    For a `<source type="image/webp">` before that `<img>`: the same widths, as WebP where it exists. Null without
    WebP.
    """
    thumbhash: str | None
    url: str | None
    """The largest picture."""
    width: int | None
    clicks: int | None = None
    counted_clicks: int | None = None
    counted_views: int | None = None
    """The views and clicks by which a guarded gallery ranks."""
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
    """The published order of the page."""
    published_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    strategy: Literal[
        "newest", "weight", "weight_decay", "trending", "ctr", "interest", "interest_fixed", "manual", "random"
    ]
    """A rule that ranks images. Without events every strategy shows the newest image first."""
    restarted: bool | None = None
    """True if the cursor's order is no longer kept, so that images may repeat. Absent otherwise."""


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
    arrived_at: datetime | None
    bytes: int | None
    """Of the original."""
    content_type: str | None
    created_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    error: str | None
    """The reason for the state `error`, as a sentence."""
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
    """An image with its original and its versions."""
    link: str | None
    metadata: dict[str, Any]
    name: str | None
    """A name for people; null: the file name."""
    prepared_at: datetime | None
    project_id: str
    """A tenant: the owner of images, galleries and events. Nothing of it is visible from another project."""
    renditions: list[Rendition]
    """Every file of a version, one for each name and type. With WebP switched on, a name may occur twice."""
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
    """
    All null until the image is `done`. `original` is present on `error` too, but only for keys and the image's own
    user.
    """
    visibility: Literal["public", "private"]
    """`public`: everybody whose tier suffices sees it. `private`: only keys see it, and the user who uploaded it."""
    width: int | None
    """Pixels, upright."""


@dataclass(kw_only=True)
class ImageChange:
    """The fields to change. Absent fields stay as they are."""

    access_tier: Literal["free", "premium", "business"] | None = None
    link: str | None = None
    """A page to go to from the image; null or empty removes it."""
    metadata: dict[str, Any] | None = None
    """At most 16 KiB of JSON."""
    name: str | None = None
    """A name for people; null: the file name."""
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
    """Workers that died during it."""
    job_id: str
    """A piece of background work."""
    kind: str
    reason: str
    """The reason why it was given up."""
    state: Literal["dead"]
    """Always `dead`: jobs that wait or run are not listed."""
    subject: str
    """The id of what the job processes, such as an image or a project."""


@dataclass(kw_only=True)
class JobList:
    jobs: list[Job]
    next_cursor: str | None


@dataclass(kw_only=True)
class NewApplication:
    name: str
    project_id: str
    """A tenant: the owner of images, galleries and events. Nothing of it is visible from another project."""
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
    The place receipt of the gallery's item that was seen or clicked. With it, the strategy `interest` learns where
    the image was seen. An invalid one is ignored.
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
    """A tenant: the owner of images, galleries and events. Nothing of it is visible from another project."""
    access_tier: Literal["free", "premium", "business"] | None = None
    content_type: str | None = None
    gallery_id: str | None = None
    link: str | None = None
    """A page to go to from the image."""
    metadata: dict[str, Any] | None = None
    """At most 16 KiB of JSON."""
    multipart: bool | None = None
    """True to send the file in parts, which go on after a break. Needs a `size` of at least 8 MiB."""
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
    """A tenant: the owner of images, galleries and events. Nothing of it is visible from another project."""
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
    """An image with its original and its versions."""
    params: UploadParams | None = None
    state: Literal["init", "uploaded", "processing", "done", "error"] | None = None
    upload_link: str | None = None


@dataclass(kw_only=True)
class OrderEstimate:
    enough_data: bool
    gallery_id: str
    """A set of images with an order."""
    interval: list[float] | None
    """The 95 % confidence interval of the lift."""
    lift: float | None
    """The difference in clicks, as a share of those of the gallery's own order."""
    message: str | None
    """`not enough data yet`, and what is missing. Null otherwise."""
    order: Literal[
        "newest", "weight", "weight_decay", "trending", "ctr", "interest", "interest_fixed", "manual", "random"
    ]
    """The strategy that is estimated."""
    order_clicks: float | None
    places: int
    """The number of ranks that are compared, from the top."""
    strategy: Literal[
        "newest", "weight", "weight_decay", "trending", "ctr", "interest", "interest_fixed", "manual", "random"
    ]
    """The gallery's own strategy, which visitors see."""
    strategy_clicks: float | None
    """Expected clicks of a visitor who scrolls through all of these, in each of the two orders."""


@dataclass(kw_only=True)
class PartLinks:
    """Links to parts, and the parts that have arrived."""

    count: int
    """The number of parts."""
    expires_at: datetime
    """The end of these links."""
    part_bytes: int
    """The size of every part but the last, in bytes."""
    parts: list[PartLink]
    """One for each of the numbers; none once the parts were joined."""
    received: list[ReceivedItem]
    """The numbers of the parts that have arrived. They need not be sent again."""


@dataclass(kw_only=True)
class PathReport:
    as_of: datetime
    """The answer contains all events that were applied by then."""
    served_from: Literal["rollup", "raw"]
    """The source of the figures."""
    rows: list[PathRow]
    """Paths of exactly `depth` steps, the most common first."""
    transitions: list[PathRow]
    """From one step to the next, whatever the anchor."""
    visits: int
    """Sessions, each split after 30 minutes of silence."""
    complete_from: datetime | None = None
    """
    Present if the span reaches back before the retention period (`EYELINE_EVENTS_KEEP_DAYS`). Figures that need
    events are complete from this `timestamp` on, and too small before.
    """


@dataclass(kw_only=True)
class PinRule:
    position: int
    """From 1."""
    external_id: str | None = None
    image_id: str | None = None
    """An image with its original and its versions."""
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
    """A tenant: the owner of images, galleries and events. Nothing of it is visible from another project."""
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
    """
    Images, those of datasets included. Uploads that never arrived and pictures that a complete feed removed do not
    count.
    """
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
    The reason why an event is quarantined. `schema`: it does not fit the schema of its type. `unknown_image`: the
    project has no such gallery, or the gallery no such image. `invalid`: it lacks what a view or click needs. `failed`:
    the server could not apply it. `too_many_names`: the project's events have used up the new roll-up rows of this day.
    """


@dataclass(kw_only=True)
class QuarantineCauseList:
    causes: list[QuarantineCause]


@dataclass(kw_only=True)
class QuarantinedEvent:
    application: str
    """
    A sender of events in a project, such as a web site. The id is public: it sends events and reads public
    galleries.
    """
    category: str
    data: dict[str, Any]
    event_id: str
    """An event. The sender may choose the id; otherwise the server does."""
    name: str
    received_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    session_id: str
    """One visit, as the sending application sees it."""
    timestamp: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    errors: dict[str, list[str]]
    """
    Sentences by field path, as in the `errors` of a problem document. The empty path stands for the whole body and is
    shown as `body`.
    """
    quarantined_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    reason: Literal["schema", "unknown_image", "invalid", "failed", "too_many_names"]
    """
    The reason why an event is quarantined. `schema`: it does not fit the schema of its type. `unknown_image`: the
    project has no such gallery, or the gallery no such image. `invalid`: it lacks what a view or click needs. `failed`:
    the server could not apply it. `too_many_names`: the project's events have used up the new roll-up rows of this day.
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
    """The factor of the rules."""
    bound: float
    click_rate: float
    """The gallery's clicks per view in the strategy `ctr`, and the number of views that it counts as."""
    click_rate_views: float
    click_weight: int
    clicks: int
    counted_clicks: int
    counted_views: int
    decayed_clicks: float
    decayed_views: float
    """Views and clicks, which count less the older they are."""
    draw: float | None
    """The appeal that `interest` drew for this order, once enough is known. Null otherwise."""
    exposure: float
    formula: str
    """The formula of the score, with the names of these fields."""
    gallery_id: str
    """A set of images with an order."""
    guard: bool
    """True if the gallery ranks by `counted_views` and `counted_clicks`, which exclude what its guard ignores."""
    hits: float
    """
    Clicks, and views times the attention of their rank and the factor of the image's age, of events with a valid
    place receipt. Both count less the older they are.
    """
    image_id: str
    """An image with its original and its versions."""
    m: float
    """
    Mean and standard deviation of the estimated appeal of the image:
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
    """
    The mean appeal of the gallery's images, and its shape: the standard deviation is `prior_mean /
    sqrt(prior_shape)`.
    """
    prior_shape: float
    published_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    rule: Literal["pin", "boost"] | None
    score: float
    sd: float
    snapshot: int
    """The number of the concurrent order, from 0."""
    strategy: Literal[
        "newest", "weight", "weight_decay", "trending", "ctr", "interest", "interest_fixed", "manual", "random"
    ]
    """A rule that ranks images. Without events every strategy shows the newest image first."""
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
    """A rule that ranks images. Without events every strategy shows the newest image first."""
    view_weight: int
    guard: bool | None = None
    """
    True if it ranks by `counted_views` and `counted_clicks`: without robots and forged clicks, as far as the guard
    detects them. With a key only.
    """
    holdout_control: Literal["newest", "weight"] | None = None
    """With a key only."""
    holdout_percent: int | None = None
    """The share of visitors who see the control order. With a key only."""


@dataclass(kw_only=True)
class ReportBasis:
    """The basis of an answer."""

    as_of: datetime
    """The answer contains all events that were applied by then."""
    served_from: Literal["rollup", "raw"]
    """The source of the figures."""
    complete_from: datetime | None = None
    """
    Present if the span reaches back before the retention period (`EYELINE_EVENTS_KEEP_DAYS`). Figures that need
    events are complete from this `timestamp` on, and too small before.
    """


@dataclass(kw_only=True)
class RetentionReport:
    as_of: datetime
    """The answer contains all events that were applied by then."""
    served_from: Literal["rollup", "raw"]
    """The source of the figures."""
    events_without_visitor: int
    """Events without a `visitor_id`. They are left out, because sessions do not identify visitors."""
    note: str | None
    """A sentence about such events, if there are any."""
    rows: list[CohortRow]
    complete_from: datetime | None = None
    """
    Present if the span reaches back before the retention period (`EYELINE_EVENTS_KEEP_DAYS`). Figures that need
    events are complete from this `timestamp` on, and too small before.
    """


@dataclass(kw_only=True)
class RulePeriod:
    """The time in which a rule holds: from `from`, included, to `until`, excluded."""

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
    """The answer contains all events that were applied by then."""
    served_from: Literal["rollup", "raw"]
    """The source of the figures."""
    columns: list[SqlColumn]
    """In the order of the query."""
    rows: list[dict[str, Any]]
    """An object for each row, by the names of the columns."""
    truncated: bool
    """True if there are more rows than the answer has."""
    complete_from: datetime | None = None
    """
    Present if the span reaches back before the retention period (`EYELINE_EVENTS_KEEP_DAYS`). Figures that need
    events are complete from this `timestamp` on, and too small before.
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
    """The stored change; `published` is true if the next page shows it."""

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
    """The reason for the state `error`, as a sentence."""
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
    """An image with its original and its versions."""
    project_id: str | None = None
    """A tenant: the owner of images, galleries and events. Nothing of it is visible from another project."""
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
    """The time of the product's clock, which continues from there."""


@dataclass(kw_only=True)
class UploadLink:
    """An image in state `init` and how to send its file, without any credential."""

    expires_at: datetime
    """The end of the link. With the method `PARTS`, each call for links to parts puts it off."""
    image_id: str
    """An image with its original and its versions."""
    params: UploadParams
    state: Literal["init", "uploaded", "processing", "done", "error"]
    upload_link: str
    """With the method `PARTS`: where to ask for links to the parts, with a credential."""


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
    """Rows with the basis of the answer."""

    as_of: datetime
    """The answer contains all events that were applied by then."""
    served_from: Literal["rollup", "raw"]
    """The source of the figures."""
    rows: list[CountRow]
    complete_from: datetime | None = None
    """
    Present if the span reaches back before the retention period (`EYELINE_EVENTS_KEEP_DAYS`). Figures that need
    events are complete from this `timestamp` on, and too small before.
    """


@dataclass(kw_only=True)
class Experiment:
    control: ExperimentArm
    enough_data: bool
    gallery_id: str
    """A set of images with an order."""
    holdout_percent: int
    interval: list[float] | None
    """The 95 % confidence interval of the lift, over visitors (delta method)."""
    lift: float | None
    """The difference in clicks per session, as a share of those of the control: (treatment - control) / control."""
    message: str | None
    """`not enough data yet`, or a note that both groups see the same order. Null otherwise."""
    sample_ratio: SampleRatio
    treatment: ExperimentArm
    """
    The groups of the gallery's strategy and of its `holdout_control`, measured while these and `holdout_percent`
    had their present values.
    """


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
    """Items of a page by default."""
    project_id: str
    """A tenant: the owner of images, galleries and events. Nothing of it is visible from another project."""
    ranking: RankingSettings
    updated_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    visibility: Literal["public", "private"]
    """`public`: everybody whose tier suffices sees it. `private`: only keys see it, and the user who uploaded it."""
    applied_events: int | None = None
    """View and click events counted so far. With a key only."""
    ignored_events: int | None = None
    """Those of them that the guard excludes from the ranking. With a key only."""


@dataclass(kw_only=True)
class GalleryChange:
    """The fields of a gallery to change. Absent fields stay as they are."""

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
    """The stored change; `published` is true if the next page shows it."""

    access_tier: Literal["free", "premium", "business"]
    """A tier of users, projects or images."""
    created_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    gallery_id: str
    """A set of images with an order."""
    name: str
    page: PublicPage
    page_size: int
    """Items of a page by default."""
    project_id: str
    """A tenant: the owner of images, galleries and events. Nothing of it is visible from another project."""
    ranking: RankingSettings
    updated_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    visibility: Literal["public", "private"]
    """`public`: everybody whose tier suffices sees it. `private`: only keys see it, and the user who uploaded it."""
    published: bool
    """False if the gallery's orders are still being made."""
    applied_events: int | None = None
    """View and click events counted so far. With a key only."""
    ignored_events: int | None = None
    """Those of them that the guard excludes from the ranking. With a key only."""


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
    """The answer contains all events that were applied by then."""
    served_from: Literal["rollup", "raw"]
    """The source of the figures."""
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
    Present if the span reaches back before the retention period (`EYELINE_EVENTS_KEEP_DAYS`). Figures that need
    events are complete from this `timestamp` on, and too small before.
    """


@dataclass(kw_only=True)
class NewGallery:
    """A gallery to create; only the project and the name are required."""

    name: str
    project_id: str
    """A tenant: the owner of images, galleries and events. Nothing of it is visible from another project."""
    access_tier: Literal["free", "premium", "business"] | None = None
    page: PublicPageChange | None = None
    page_size: int | None = 20
    """Items of a page by default."""
    ranking: RankingChange | None = None
    visibility: Literal["public", "private"] | None = None


@dataclass(kw_only=True)
class PastRanking:
    after: RankingSettings
    before: RankingSettings


@dataclass(kw_only=True)
class QuarantineList:
    events: list[QuarantinedEvent]
    next_cursor: str | None


@dataclass(kw_only=True)
class PastChange:
    """A past change: of the ranking settings or of the rules."""

    changed_at: datetime
    """A time: RFC 3339, answered in UTC with microseconds."""
    ranking: PastRanking | None
    rules: PastRules | None


@dataclass(kw_only=True)
class GalleryChanges:
    changes: list[PastChange]
    next_cursor: str | None
