-- Images, their versions, the work on them and the news of it.

CREATE TABLE images (
    image_id UUID PRIMARY KEY,
    project_id UUID NOT NULL REFERENCES projects (project_id),
    -- The gallery that the image joins once it is done.
    gallery_id UUID,
    -- The owner of a user's own upload.
    user_id TEXT COLLATE "C",
    filename TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    -- What the client said before it sent a byte.
    stated_bytes BIGINT,
    stated_sha256 BYTEA,
    stated_type TEXT COLLATE "C",
    -- Where the upload link lets the client write, and until when.
    incoming_key TEXT COLLATE "C",
    link_expires_at BIGINT,
    -- The immutable copy that the worker reads; the only one that counts.
    original_key TEXT COLLATE "C",
    bytes BIGINT,
    sha256 BYTEA,
    content_type TEXT COLLATE "C",
    width BIGINT,
    height BIGINT,
    thumbhash BYTEA,
    -- A picture of a dataset is served from its own address and has no versions.
    url TEXT COLLATE "C",
    name TEXT COLLATE "C",
    link TEXT COLLATE "C",
    visibility TEXT COLLATE "C" NOT NULL,
    access_tier TEXT COLLATE "C" NOT NULL,
    -- JSON array of strings, JSON object.
    tags TEXT COLLATE "C" NOT NULL,
    metadata TEXT COLLATE "C" NOT NULL,
    error_code TEXT COLLATE "C",
    error TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX images_by_project ON images (project_id, created_at, image_id);
CREATE INDEX images_by_user ON images (project_id, user_id, created_at, image_id) WHERE user_id IS NOT NULL;
CREATE INDEX images_waiting_for_bytes ON images (link_expires_at, image_id) WHERE state = 'init';
CREATE INDEX images_by_sha256 ON images (project_id, sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX images_by_stated_sha256 ON images (project_id, stated_sha256) WHERE stated_sha256 IS NOT NULL;
CREATE UNIQUE INDEX images_by_incoming_key ON images (incoming_key) WHERE incoming_key IS NOT NULL;

CREATE TABLE versions (
    image_id UUID NOT NULL REFERENCES images (image_id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    object_key TEXT COLLATE "C" NOT NULL,
    content_type TEXT COLLATE "C" NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 BYTEA NOT NULL,
    PRIMARY KEY (image_id, name)
);

-- What a user holds against the limits of a tier, links not yet used included.
CREATE TABLE user_usage (
    project_id UUID NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    images BIGINT NOT NULL,
    PRIMARY KEY (project_id, user_id)
);

-- Objects, and folders of them, that nothing refers to from a time on: noted in the transaction that gives them up, or
-- before they are written at all, so that no crash leaves one behind for ever.
CREATE TABLE unwanted_objects (
    object_key TEXT COLLATE "C" PRIMARY KEY,
    unwanted_from BIGINT NOT NULL
);

CREATE INDEX unwanted_objects_by_age ON unwanted_objects (unwanted_from);

CREATE TABLE jobs (
    job_id UUID PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    -- What the job is about; one job of a kind at a time for each subject.
    subject UUID NOT NULL,
    -- waiting, leased or dead.
    state TEXT COLLATE "C" NOT NULL,
    run_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    -- Worker processes that died on it.
    deaths BIGINT NOT NULL DEFAULT 0,
    -- The node that holds it, until when, and which claim that is: a result under an older fence is refused.
    owner TEXT COLLATE "C",
    lease_until BIGINT,
    fence BIGINT NOT NULL DEFAULT 0,
    reason TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    UNIQUE (kind, subject)
);

CREATE INDEX jobs_waiting ON jobs (kind, run_at) WHERE state = 'waiting';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'leased';

CREATE TABLE news (
    project_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    image_id UUID,
    state TEXT COLLATE "C",
    PRIMARY KEY (project_id, seq)
);

CREATE INDEX news_by_age ON news (at);

CREATE TABLE stream_tickets (
    -- SHA-256 of the ticket.
    ticket_hash BYTEA PRIMARY KEY,
    project_id UUID NOT NULL,
    -- SHA-256 of the credential it was made with: a revoked key closes its streams.
    credential BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    -- websocket: used up. sse: good for the same stream until it expires, as a browser reconnects with the same URL.
    used_for TEXT COLLATE "C"
);

CREATE INDEX stream_tickets_by_age ON stream_tickets (expires_at);
