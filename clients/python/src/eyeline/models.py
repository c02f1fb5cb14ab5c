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


@dataclass(kw_only=True)
class ExperimentArm:
    clicks: int
    sessions: int
    strategy: str
    views: int
    visitors: int
    clicks_per_session: float | None = None


@dataclass(kw_only=True)
class BoostRule:
    factor: float
    """0.1 to 10: the score is multiplied by it; below 1 buries."""
    external_id: str | None = None
    from_: str | None = None
    image_id: str | None = None
    tag: str | None = None
    until: str | None = None


@dataclass(kw_only=True)
class GalleryUsageBucket:
    clicks: int
    views: int
    bucket: datetime
    click_rate: float | None = None
    """Clicks for each view; null without views."""


ReturnedItem: TypeAlias = int


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

    count: int
    application: str | None = None
    bucket: datetime | None = None
    """When the bucket begins; null when there is one for all."""
    category: str | None = None
    name: str | None = None
    sessions: int | None = None
    """
    Different values of `session_id`; they do not add up over rows. Not there with `sessions=false`, nor for a row that
    has more events than are kept.
    """


@dataclass(kw_only=True)
class Engine:
    name: str
    reachable: bool


@dataclass(kw_only=True)
class Erasure:
    erasure_id: str
    requested_at: datetime
    """Events received up to then are erased; later ones of the same session are new."""
    session_id: str
    state: str
    """`hidden`: no answer shows the events; `done`: no file has them."""
    events: int | None = None
    """How many events were erased; null while that is not known."""
    finished_at: datetime | None = None


@dataclass(kw_only=True)
class ErasureList:
    erasures: list[Erasure]
    next_cursor: str | None = None


@dataclass(kw_only=True)
class OrderEstimate:
    enough_data: bool
    gallery_id: str
    order: str
    """The one that is asked about."""
    places: int
    """So many places of both are compared, from the first one on."""
    strategy: str
    """The gallery's own, which is shown."""
    interval: list[float] | None = None
    """The 95 % interval of the lift."""
    lift: float | None = None
    """Clicks by the order asked about above those by the gallery's own, as a part of these."""
    message: str | None = None
    """`not enough data yet` while that is so, with what is missing."""
    order_clicks: float | None = None
    strategy_clicks: float | None = None
    """Clicks of a visitor who scrolls through all of these, by either order."""


@dataclass(kw_only=True)
class Event:
    application: str
    category: str
    data: dict[str, Any]
    event_id: str
    name: str
    received_at: datetime
    session_id: str
    timestamp: datetime
    schema_version: int | None = None
    """The version of its type's schema that judges it; absent when the type has none."""
    visitor_id: str | None = None


@dataclass(kw_only=True)
class EventList:
    events: list[Event]
    complete_from: datetime | None = None
    """
    There when events with an earlier `timestamp` are asked for that are not all kept any more
    (`EYELINE_EVENTS_KEEP_DAYS`): the list is complete from then on.
    """
    next_cursor: str | None = None
    """Null at the end. A page may be short, or empty, and the list go on all the same."""


@dataclass(kw_only=True)
class ExcludeRule:
    external_id: str | None = None
    from_: str | None = None
    image_id: str | None = None
    tag: str | None = None
    until: str | None = None


@dataclass(kw_only=True)
class FeatureRow:
    category: str
    count: int
    name: str
    sessions: int
    """Different values of `session_id`."""


@dataclass(kw_only=True)
class FunnelRow:
    category: str
    name: str
    sessions: int
    """Sessions, each split after 30 minutes of silence, that took this step and all before it."""
    step: int
    """From 1."""
    of_first: float | None = None
    of_previous: float | None = None
    """The part of the step before, and of the first one; null when that is nobody."""


@dataclass(kw_only=True)
class GroupCap:
    """
    At most `max` images of a group in each `within` places; a group is the images whose first tag with the prefix is
    the same.
    """

    max: int
    tag_prefix: str
    within: int | None = None
    """The gallery's page_size when absent."""


@dataclass(kw_only=True)
class Health:
    status: str
    """Always `"ok"`."""


@dataclass(kw_only=True)
class ImageChange:
    """What may be changed; what is left out stays."""

    access_tier: str | None = None
    link: str | None = None
    """Null or empty takes it away."""
    metadata: Any | None = None
    tags: list[str] | None = None
    visibility: str | None = None


@dataclass(kw_only=True)
class GalleryUsageImage:
    clicks: int
    views: int
    click_rate: float | None = None
    """Clicks for each view; null without views."""
    external_id: str | None = None
    image_id: str | None = None
    """Null for one that is not in the gallery any more and was named by its external id."""


@dataclass(kw_only=True)
class ImageSelector:
    external_id: str | None = None
    image_id: str | None = None
    tag: str | None = None


@dataclass(kw_only=True)
class GalleryItem:
    image_id: str
    clicks: int | None = None
    counted_clicks: int | None = None
    counted_views: int | None = None
    """Of a guarded gallery: what it ranks by."""
    views: int | None = None
    weight: int | None = None
    external_id: str | None = None
    height: int | None = None
    link: str | None = None
    name: str | None = None
    position: int | None = None
    """From 1; null for an image that the order does not have yet."""
    preview: str | None = None
    """The smallest."""
    srcset: str | None = None
    """For an `<img>`: every version with its width."""
    srcset_webp: str | None = None
    """
    For a `<source type="image/webp">` before that `<img>`: the same widths, as WebP where that was made; null when it
    was not.
    """
    thumbhash: str | None = None
    url: str | None = None
    """The largest picture."""
    width: int | None = None


@dataclass(kw_only=True)
class Job:
    attempts: int
    created_at: datetime
    deaths: int
    """Workers that died on it."""
    job_id: str
    kind: str
    reason: str
    """Why it was given up."""
    state: str
    """Always `dead`: what waits or runs needs nobody."""
    subject: str
    """What the job is about: an image, a project."""


@dataclass(kw_only=True)
class JobList:
    jobs: list[Job]
    next_cursor: str | None = None


@dataclass(kw_only=True)
class Limits:
    content_types: list[str]
    """Types of files that are taken."""
    max_batch_files: int
    """Files of one batch of links."""
    max_file_bytes: int
    """Bytes of a file."""
    upload_link_seconds: int
    """Seconds that an upload link lives."""
    max_images: int | None = None
    """Images that are kept; null: no limit."""


@dataclass(kw_only=True)
class UploadParams:
    fields: dict[str, str]
    headers: dict[str, str]
    method: str
    """
    `PUT` with all `headers` and the file as the body, or `POST` of a form of all `fields` with the file as the field
    `file`, last.
    """


@dataclass(kw_only=True)
class Neighbour:
    image_id: str
    position: int
    score: float


@dataclass(kw_only=True)
class Neighbours:
    after: Neighbour | None = None
    before: Neighbour | None = None


@dataclass(kw_only=True)
class NewErasure:
    session_id: str


@dataclass(kw_only=True)
class NewImage:
    """A file about to be sent; only the name is required."""

    filename: str
    project_id: str
    access_tier: str | None = None
    content_type: str | None = None
    gallery_id: str | None = None
    """The gallery that the image joins once it is done."""
    link: str | None = None
    """A page to go to from the image."""
    metadata: Any | None = None
    sha256: str | None = None
    """Hexadecimal."""
    size: int | None = None
    """Bytes."""
    tags: list[str] | None = None
    visibility: str | None = None


@dataclass(kw_only=True)
class GalleryItemNumbers:
    clicks: int
    views: int
    weight: int
    counted_clicks: int | None = None
    counted_views: int | None = None
    """Of a guarded gallery: what it ranks by."""


@dataclass(kw_only=True)
class GalleryPage:
    """One page of a gallery in its order."""

    gallery_id: str
    items: list[GalleryItem]
    order_id: str
    """The published order that the page is of."""
    published_at: datetime
    strategy: str
    next_cursor: str | None = None
    restarted: bool | None = None
    """True when the cursor's order is no longer kept, so that images may repeat."""


@dataclass(kw_only=True)
class EventData:
    data: dict[str, Any]


@dataclass(kw_only=True)
class PinRule:
    position: int
    """From 1."""
    external_id: str | None = None
    from_: str | None = None
    image_id: str | None = None
    tag: str | None = None
    until: str | None = None


@dataclass(kw_only=True)
class GalleryUsagePosition:
    clicks: int
    views: int
    position: int
    """As the sender told it, from 1."""
    click_rate: float | None = None
    """Clicks for each view; null without views."""


@dataclass(kw_only=True)
class ProblemDocument:
    """How a problem reads, for the description of the API."""

    detail: str
    """One sentence."""
    request_id: str
    """Names the request here and in the log."""
    status: int
    title: str
    type: str
    errors: dict[str, list[str]] | None = None
    """What is wrong by field, in sentences; only with 400."""


@dataclass(kw_only=True)
class RankingSettings:
    click_weight: int
    guard: bool
    """It ranks by `counted_views` and `counted_clicks`: without robots and forged clicks, as far as can be told."""
    holdout_control: str
    holdout_percent: int
    """Of 100 visitors so many see the control order."""
    strategy: str
    view_weight: int
    half_life: float | None = None
    """Days; null: 14."""


@dataclass(kw_only=True)
class RankingChange:
    click_weight: int | None = None
    guard: bool | None = None
    """Rank by what people do, as far as can be told; the numbers stay exact."""
    half_life: float | None = None
    """Days after which an event counts half, in the strategies in which events lose weight; 14 when null."""
    holdout_control: str | None = None
    """The control order: `newest` or `weight`. Figures of another share, strategy or control are kept apart."""
    holdout_percent: int | None = None
    """0 to 50: of 100 visitors so many see the control order."""
    strategy: str | None = None
    """`newest`, `weight`, `weight_decay`, `trending`, `ctr`, `interest`, `interest_fixed`, `manual` or `random`."""
    view_weight: int | None = None


@dataclass(kw_only=True)
class Readiness:
    engines: list[Engine]
    ready: bool
    """Whether requests should be sent here."""
    stopping: bool
    """True once the process was asked to stop."""
    troubles: list[str]
    """What else keeps it from its work, in sentences."""


@dataclass(kw_only=True)
class RefreshedOrder:
    applied_events: int
    """View and click events counted for this gallery so far."""
    order_id: str


@dataclass(kw_only=True)
class RejectedEvent:
    errors: dict[str, list[str]]
    """Field path to sentences."""
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
    replayed: int
    """Events that count from now on."""
    still_failing: int
    next_cursor: str | None = None
    """A call looks at 20,000 events; with this the next one goes on. Null: all were tried."""


@dataclass(kw_only=True)
class NewReplay:
    category: str | None = None
    cursor: str | None = None
    """The `next_cursor` of the call before."""
    dry_run: bool | None = None
    """True changes nothing and tells what would happen."""
    name: str | None = None
    project_id: str | None = None
    reason: str | None = None


@dataclass(kw_only=True)
class Row:
    """Events of a group within a bucket; the fields of `group_by` are there, the others not."""

    count: int
    application: str | None = None
    bucket: datetime | None = None
    """When the bucket begins; null when there is one for all."""
    category: str | None = None
    name: str | None = None
    sessions: int | None = None
    """
    Different values of `session_id`; they do not add up over rows. Not there with `sessions=false`, nor for a row that
    has more events than are kept.
    """


@dataclass(kw_only=True)
class Row1:
    category: str
    count: int
    name: str
    sessions: int
    """Different values of `session_id`."""


@dataclass(kw_only=True)
class Row2:
    category: str
    name: str
    sessions: int
    """Sessions, each split after 30 minutes of silence, that took this step and all before it."""
    step: int
    """From 1."""
    of_first: float | None = None
    of_previous: float | None = None
    """The part of the step before, and of the first one; null when that is nobody."""


@dataclass(kw_only=True)
class RotationOrder:
    overlap_seconds: int | None = None
    """How long the older keys go on working: a day unless given; 0 ends them at once."""
    signing_secret: bool | None = None
    """True replaces the signing secret too; tokens signed with the old one end at once."""


@dataclass(kw_only=True)
class SampleRatio:
    """Whether the arms are of the sizes that they were drawn with; where they are not, do not believe the lift."""

    expected_control: float
    ok: bool
    observed_control: float | None = None
    p_value: float | None = None


@dataclass(kw_only=True)
class EventClient:
    ip: str
    user_agent: str | None = None


@dataclass(kw_only=True)
class NewEvent:
    """What an event looks like on its way in; unknown fields are ignored."""

    category: str
    data: dict[str, Any]
    name: str
    session_id: str
    timestamp: datetime
    """At most 24 hours ahead of the server's clock."""
    client: EventClient | None = None
    event_id: str | None = None
    """The sender's name for the event, so that it can be sent again without counting twice."""
    visitor_id: str | None = None


@dataclass(kw_only=True)
class Session:
    signed_in: bool
    """Whether the request came with the cookie of a signed-in browser."""


@dataclass(kw_only=True)
class SignIn:
    """The body of [`sign_in`]: one of the two."""

    admin_key: str | None = None
    ticket: str | None = None
    """From the link that the server prints at its start; works once."""


@dataclass(kw_only=True)
class SqlColumn:
    name: str
    type: str
    """text, integer, number, boolean, timestamp, date, time, interval or null."""


@dataclass(kw_only=True)
class SqlQuestion:
    """What is asked."""

    query: str
    """One SELECT of at most 16 KiB, in the spelling of PostgreSQL."""
    application: str | None = None
    category: str | None = None
    from_: datetime | None = None
    """The table `events` holds those that all of these want."""
    limit: int | None = None
    """Rows of the answer: 1000 unless given, at most 10000."""
    name: str | None = None
    project_id: str | None = None
    """Required with the admin key."""
    to: datetime | None = None


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
class ImageStateAnswer:
    image_id: str
    state: str


@dataclass(kw_only=True)
class EventTypeName:
    """A type of events within an answer."""

    category: str
    name: str


@dataclass(kw_only=True)
class UploadForm:
    """The body of [`create_upload`]."""

    data: bytes
    """The file."""
    tier: Literal["free", "premium", "business"] | None = None
    user_id: str | None = None
    """With a secret key, whose upload it is; before the file, or as a parameter of the address."""


@dataclass(kw_only=True)
class ProjectUsage:
    bytes: int
    """Bytes of the originals."""
    events: int
    """Events that count, over all time."""
    images: int
    """Images, those of datasets included."""
    tier: Literal["free", "premium", "business"]


@dataclass(kw_only=True)
class UsageNumbers:
    clicks: int
    views: int
    click_rate: float | None = None
    """Clicks for each view; null without views."""


@dataclass(kw_only=True)
class EventDataVerdict:
    errors: dict[str, list[str]]
    """Field path to sentences."""
    valid: bool
    version: int
    """The version of the schema that said so."""


@dataclass(kw_only=True)
class Versions:
    """As JPEG or PNG. Null where there is no such version, or not yet."""

    big_1920: str | None = None
    big_thumb: str | None = None
    d2500: str | None = None
    original: str | None = None
    thumb: str | None = None


@dataclass(kw_only=True)
class RankExplanation:
    """Every part of an image's score, so that it can be recomputed by hand."""

    age_factor: float
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
    exposure: float
    formula: str
    """How the score follows from the parts."""
    gallery_id: str
    guard: bool
    """Without what the gallery's guard left out; a guarded gallery ranks by these."""
    hits: float
    """
    Clicks, and views times the attention of their place and the image's age, where the server knows the place; each
    counted less the older it is.
    """
    image_id: str
    m: float
    """
    Mean and standard deviation of what the image's appeal is believed to be:
    `m = (prior_shape + hits) / (prior_shape / prior_mean + exposure)`, `sd = sqrt(prior_shape + hits) / (…)`.
    """
    neighbours: Neighbours
    order_id: str
    prior_mean: float
    """The mean appeal of the gallery's images, and how alike they are."""
    prior_shape: float
    published_at: datetime
    score: float
    sd: float
    snapshot: int
    """Which of the orders side by side."""
    strategy: str
    temper: float
    view_weight: int
    views: int
    weight: int
    """`view_weight * views + click_weight * clicks`."""
    arm: str | None = None
    """The order that the visitor's group sees, in a gallery with a hold-out: `control` or `treatment`; else null."""
    draw: float | None = None
    """What the image is given the chance to be, in the strategy `interest` once enough is known; else null."""
    pin: int | None = None
    """The position that a rule pins the image to."""
    position: int | None = None
    """From 1; null while the order does not have the image."""
    rule: str | None = None
    """Which rule has the last word on the place: `pin`, `boost` or null."""


@dataclass(kw_only=True)
class ApplicationWithSecrets:
    """An application with what is shown this once."""

    allowed_origins: list[str]
    """Where browsers may use the `application_id` from; empty: from nowhere."""
    application_id: str
    """A trusted sender of events within a project; public, so it can only write events and read public galleries."""
    created_at: datetime
    """Microseconds since 1970-01-01T00:00:00Z."""
    name: str
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    ed25519_public_key: str | None = None
    """Base64url of the 32 bytes; null: user tokens are signed with the signing secret."""
    older_keys_until: datetime | None = None
    secret_key: str | None = None
    """`eyl_sk_…`"""
    signing_secret: str | None = None
    """`eyl_ss_…`: the text itself is the HS256 key of user tokens."""
    secret_shown: bool | None = None


@dataclass(kw_only=True)
class Application:
    allowed_origins: list[str]
    """Where browsers may use the `application_id` from; empty: from nowhere."""
    application_id: str
    """A trusted sender of events within a project; public, so it can only write events and read public galleries."""
    created_at: datetime
    """Microseconds since 1970-01-01T00:00:00Z."""
    name: str
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    ed25519_public_key: str | None = None
    """Base64url of the 32 bytes; null: user tokens are signed with the signing secret."""


@dataclass(kw_only=True)
class ApplicationList:
    applications: list[Application]
    next_cursor: str | None = None


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
class EventBatch:
    accepted: int
    """Durable, and counted exactly once from now on."""
    duplicates: int
    """Sent before, or twice in this batch; nothing was changed."""
    rejected: list[RejectedEvent]


@dataclass(kw_only=True)
class NewImages:
    files: list[NewImage]
    """Up to 500."""
    project_id: str
    access_tier: str | None = None
    gallery_id: str | None = None
    """What a file does not say itself is taken from here."""
    tags: list[str] | None = None
    visibility: str | None = None


@dataclass(kw_only=True)
class QuarantineCause:
    category: str
    events: int
    first_at: datetime
    """Microseconds since 1970-01-01T00:00:00Z."""
    last_at: datetime
    """Microseconds since 1970-01-01T00:00:00Z."""
    name: str
    reason: str


@dataclass(kw_only=True)
class QuarantineCauseList:
    causes: list[QuarantineCause]


@dataclass(kw_only=True)
class CountedImage:
    counter: str
    """`views` or `clicks`."""
    gallery_id: str
    """A set of images with an order."""
    external_id: str | None = None
    image_id: str | None = None


@dataclass(kw_only=True)
class CountedIn:
    day: datetime
    """Microseconds since 1970-01-01T00:00:00Z."""
    hour: datetime
    """The roll-ups by hour and by day that hold it (UTC)."""
    gallery: CountedImage | None = None


@dataclass(kw_only=True)
class EventType:
    category: str
    created_at: datetime
    """Microseconds since 1970-01-01T00:00:00Z."""
    name: str
    on_invalid: Literal["reject", "quarantine"]
    """What becomes of an event that does not fit the schema of its type."""
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    updated_at: datetime
    """Microseconds since 1970-01-01T00:00:00Z."""
    version: int
    """Rises with every other schema; never used again."""
    description: str | None = None
    schema: dict[str, Any] | None = None
    """JSON Schema 2020-12 of an event's `data`; null takes any object."""


@dataclass(kw_only=True)
class EventTypeSettings:
    description: str | None = None
    on_invalid: Literal["reject", "quarantine"] | None = None
    schema: dict[str, Any] | None = None
    """
    JSON Schema 2020-12 of an event's `data`: at most 64 KiB, with references to places within itself only, and
    patterns that neither look around nor back. Without one the type takes any object.
    """


@dataclass(kw_only=True)
class EventTypeList:
    event_types: list[EventType]
    next_cursor: str | None = None


@dataclass(kw_only=True)
class Experiment:
    control: ExperimentArm
    enough_data: bool
    gallery_id: str
    holdout_percent: int
    sample_ratio: SampleRatio
    treatment: ExperimentArm
    """Of the gallery's strategy and of its `holdout_control`, while these and `holdout_percent` were what they are now."""
    interval: list[float] | None = None
    """The 95 % interval of the lift, visitors being what is drawn (delta method)."""
    lift: float | None = None
    """Clicks a session of the treatment above those of the control, as a part of these."""
    message: str | None = None
    """`not enough data yet` while that is so; or that nothing is compared, both groups seeing the same order."""


@dataclass(kw_only=True)
class UploadVerdict:
    verdict: str
    """
    `created` (then a link is there), `duplicate` (of `image_id`, by its hash), `over_quota`, `too_large`,
    `wrong_type` or `invalid`.
    """
    expires_at: datetime | None = None
    image_id: str | None = None
    params: UploadParams | None = None
    state: str | None = None
    upload_link: str | None = None
    detail: str | None = None
    """What is wrong, in a sentence."""
    duplicate_of: str | None = None
    errors: dict[str, Any] | None = None
    filename: str | None = None


@dataclass(kw_only=True)
class UploadLinks:
    images: list[UploadVerdict]
    """One for each file, in their order."""


@dataclass(kw_only=True)
class Gallery:
    access_tier: str
    applied_events: int
    """View and click events counted so far."""
    created_at: datetime
    gallery_id: str
    ignored_events: int
    """Of these, those that the guard left out of the ranking."""
    name: str
    page_size: int
    """Items of a page when the request does not say."""
    project_id: str
    ranking: RankingSettings
    updated_at: datetime
    visibility: str


@dataclass(kw_only=True)
class NewGallery:
    """What a body may say of a gallery; everything but the name has a default."""

    name: str
    project_id: str
    access_tier: str | None = None
    page_size: int | None = None
    ranking: RankingChange | None = None
    visibility: str | None = None


@dataclass(kw_only=True)
class StoredGalleryRules:
    """
    The rules of a gallery, applied in this order: `exclude`, `boost`, the strategy, `group_cap`, `pin`. Every rule names
    its images by one of `image_id`, `external_id` and `tag`, and may hold `from` one time `until` another.
    """

    boost: list[BoostRule]
    exclude: list[ExcludeRule]
    manual: list[ImageSelector]
    """The order of the strategy `manual`; images that are not named follow, newest first."""
    pin: list[PinRule]
    group_cap: GroupCap | None = None


@dataclass(kw_only=True)
class GalleryUsage:
    as_of: datetime
    """All events that were applied by then are in it."""
    served_from: Literal["rollup", "raw"]
    """Where the numbers come from."""
    over_time: list[GalleryUsageBucket]
    positions: list[GalleryUsagePosition]
    """Of the events that tell a position."""
    rows: list[GalleryUsageImage]
    """Images, the most viewed first."""
    total: UsageNumbers
    complete_from: datetime | None = None
    """
    There when events with an earlier `timestamp` are asked about that are not all kept any more
    (`EYELINE_EVENTS_KEEP_DAYS`): what is found in events is complete from then on, and too small before.
    """
    experiment: Experiment | None = None


@dataclass(kw_only=True)
class Image:
    access_tier: str
    created_at: datetime
    filename: str
    image_id: str
    metadata: dict[str, Any]
    project_id: str
    renditions: list[Rendition]
    """Every file of a version, one for each name and type: with WebP switched on, a name may be there twice."""
    state: str
    tags: list[str]
    updated_at: datetime
    versions: Versions
    """All null until the image is `done`; `original` is there on `error` too, and only for keys and the image's own user."""
    visibility: str
    bytes: int | None = None
    """Of the original."""
    content_type: str | None = None
    error: str | None = None
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
    ) = None
    height: int | None = None
    link: str | None = None
    sha256: str | None = None
    """Of the original, hexadecimal."""
    thumbhash: str | None = None
    """Base64."""
    width: int | None = None
    """Pixels, upright."""


@dataclass(kw_only=True)
class ImageNews:
    """The part of `image.state` that is about the image."""

    image_id: str
    versions: Versions
    error: str | None = None
    """Why it ended in `error`, in a sentence, and for programs."""
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
    state: Literal["init", "uploaded", "processing", "done", "error"] | None = None


@dataclass(kw_only=True)
class ImageList:
    images: list[Image]
    next_cursor: str | None = None


@dataclass(kw_only=True)
class UploadLink:
    """An image in state `init` and how to send its file, without any credential."""

    expires_at: datetime
    image_id: str
    params: UploadParams
    state: str
    upload_link: str


@dataclass(kw_only=True)
class DatasetLoad:
    created: int
    rejected: list[RejectedRow]
    """The first thousand rows that were not taken."""
    rejected_count: int
    unchanged: int
    updated: int


@dataclass(kw_only=True)
class NewApplication:
    name: str
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    allowed_origins: list[str] | None = None
    """Such as `https://shop.example`; none unless given."""


@dataclass(kw_only=True)
class NewProject:
    name: str
    tier: Literal["free", "premium", "business"] | None = None


@dataclass(kw_only=True)
class NewsMessage:
    """One piece of news of a project."""

    at: datetime
    project_id: str
    seq: int
    """Rises by one within a project."""
    type: str
    """`image.state` or `events.quarantined`."""
    error: str | None = None
    """Why it ended in `error`, in a sentence, and for programs."""
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
    state: Literal["init", "uploaded", "processing", "done", "error"] | None = None
    versions: Versions | None = None


@dataclass(kw_only=True)
class PathRow:
    count: int
    """How often these steps followed each other."""
    steps: list[EventTypeName]


@dataclass(kw_only=True)
class Project:
    created_at: datetime
    """Microseconds since 1970-01-01T00:00:00Z."""
    name: str
    project_id: str
    """The owner of images, galleries and events; the wall between tenants."""
    tier: Literal["free", "premium", "business"]


@dataclass(kw_only=True)
class ProjectChange:
    name: str | None = None
    tier: Literal["free", "premium", "business"] | None = None


@dataclass(kw_only=True)
class ProjectList:
    projects: list[Project]
    next_cursor: str | None = None


@dataclass(kw_only=True)
class QuarantinedEvent:
    application: str
    category: str
    data: dict[str, Any]
    event_id: str
    name: str
    received_at: datetime
    session_id: str
    timestamp: datetime
    errors: dict[str, list[str]]
    """Field path to sentences."""
    quarantined_at: datetime
    """Microseconds since 1970-01-01T00:00:00Z."""
    reason: str
    """
    `schema`: it does not fit the schema of its type. `unknown_image`: the project has no such gallery or image.
    `invalid`: it lacks what a gallery's event has to have. `failed`: the server could not apply it.
    """
    schema_version: int | None = None
    """The version of its type's schema that judges it; absent when the type has none."""
    visitor_id: str | None = None


@dataclass(kw_only=True)
class EventReceipt:
    """What became of an event."""

    status: str
    """`waiting`: counted within moments. `counted`: once. `quarantined`: accepted, and not counted for the reason told."""
    counted_in: CountedIn | None = None
    errors: dict[str, list[str]] | None = None
    """Field path to sentences."""
    quarantined_at: datetime | None = None
    reason: str | None = None


@dataclass(kw_only=True)
class CountReport:
    """What most answers are."""

    as_of: datetime
    """All events that were applied by then are in it."""
    served_from: Literal["rollup", "raw"]
    """Where the numbers come from."""
    rows: list[Row]
    complete_from: datetime | None = None
    """
    There when events with an earlier `timestamp` are asked about that are not all kept any more
    (`EYELINE_EVENTS_KEEP_DAYS`): what is found in events is complete from then on, and too small before.
    """


@dataclass(kw_only=True)
class FeatureReport:
    """What most answers are."""

    as_of: datetime
    """All events that were applied by then are in it."""
    served_from: Literal["rollup", "raw"]
    """Where the numbers come from."""
    rows: list[Row1]
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
    rows: list[Row2]
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
    rows: list[CohortRow]
    complete_from: datetime | None = None
    """
    There when events with an earlier `timestamp` are asked about that are not all kept any more
    (`EYELINE_EVENTS_KEEP_DAYS`): what is found in events is complete from then on, and too small before.
    """
    note: str | None = None
    """Says so when there are such events."""


@dataclass(kw_only=True)
class ApplicationSecrets:
    older_keys_until: datetime | None = None
    secret_key: str | None = None
    """`eyl_sk_…`"""
    signing_secret: str | None = None
    """`eyl_ss_…`: the text itself is the HS256 key of user tokens."""
    secret_shown: bool | None = None


@dataclass(kw_only=True)
class NewEventBatch:
    events: list[NewEvent]


@dataclass(kw_only=True)
class StreamTicket:
    expires_at: datetime
    """Microseconds since 1970-01-01T00:00:00Z."""
    ticket: str
    """For `?ticket=` of the stream."""


@dataclass(kw_only=True)
class TestClock:
    now: datetime
    """What the product's clock tells; it runs on from there."""


@dataclass(kw_only=True)
class UploadList:
    images: list[Image]
    next_cursor: str | None = None


@dataclass(kw_only=True)
class EventWithReceipt:
    application: str
    category: str
    data: dict[str, Any]
    event_id: str
    name: str
    received_at: datetime
    session_id: str
    timestamp: datetime
    receipt: EventReceipt
    schema_version: int | None = None
    """The version of its type's schema that judges it; absent when the type has none."""
    visitor_id: str | None = None


@dataclass(kw_only=True)
class GalleryList:
    galleries: list[Gallery]
    next_cursor: str | None = None


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
class QuarantineList:
    events: list[QuarantinedEvent]
    next_cursor: str | None = None
