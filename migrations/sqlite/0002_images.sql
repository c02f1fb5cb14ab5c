-- Images, their versions, the work on them and the news of it.

CREATE TABLE images (
    image_id BLOB PRIMARY KEY,
    project_id BLOB NOT NULL REFERENCES projects (project_id),
    -- The gallery that the image joins once it is done.
    gallery_id BLOB,
    -- The owner of a user's own upload.
    user_id TEXT,
    filename TEXT NOT NULL,
    state TEXT NOT NULL,
    -- What the client said before it sent a byte.
    stated_bytes INTEGER,
    stated_sha256 BLOB,
    stated_type TEXT,
    -- Where the upload link lets the client write, and until when.
    incoming_key TEXT,
    link_expires_at INTEGER,
    -- The immutable copy that the worker reads; the only one that counts.
    original_key TEXT,
    bytes INTEGER,
    sha256 BLOB,
    content_type TEXT,
    width INTEGER,
    height INTEGER,
    thumbhash BLOB,
    -- A picture of a dataset is served from its own address and has no versions.
    url TEXT,
    name TEXT,
    link TEXT,
    visibility TEXT NOT NULL,
    access_tier TEXT NOT NULL,
    -- JSON array of strings, JSON object.
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    error_code TEXT,
    error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX images_by_project ON images (project_id, created_at, image_id);
CREATE INDEX images_by_user ON images (project_id, user_id, created_at, image_id) WHERE user_id IS NOT NULL;
CREATE INDEX images_waiting_for_bytes ON images (link_expires_at, image_id) WHERE state = 'init';
CREATE INDEX images_by_sha256 ON images (project_id, sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX images_by_stated_sha256 ON images (project_id, stated_sha256) WHERE stated_sha256 IS NOT NULL;
CREATE UNIQUE INDEX images_by_incoming_key ON images (incoming_key) WHERE incoming_key IS NOT NULL;

CREATE TABLE versions (
    image_id BLOB NOT NULL REFERENCES images (image_id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    object_key TEXT NOT NULL,
    content_type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (image_id, name)
) STRICT;

-- What a user holds against the limits of a tier, links not yet used included.
CREATE TABLE user_usage (
    project_id BLOB NOT NULL,
    user_id TEXT NOT NULL,
    images INTEGER NOT NULL,
    PRIMARY KEY (project_id, user_id)
) STRICT;

-- Objects, and folders of them, that nothing refers to from a time on: noted in the transaction that gives them up, or
-- before they are written at all, so that no crash leaves one behind for ever.
CREATE TABLE unwanted_objects (
    object_key TEXT PRIMARY KEY,
    unwanted_from INTEGER NOT NULL
) STRICT;

CREATE INDEX unwanted_objects_by_age ON unwanted_objects (unwanted_from);

CREATE TABLE jobs (
    job_id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    -- What the job is about; one job of a kind at a time for each subject.
    subject BLOB NOT NULL,
    -- waiting, leased or dead.
    state TEXT NOT NULL,
    run_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Worker processes that died on it.
    deaths INTEGER NOT NULL DEFAULT 0,
    -- The node that holds it, until when, and which claim that is: a result under an older fence is refused.
    owner TEXT,
    lease_until INTEGER,
    fence INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    created_at INTEGER NOT NULL,
    UNIQUE (kind, subject)
) STRICT;

CREATE INDEX jobs_waiting ON jobs (kind, run_at) WHERE state = 'waiting';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'leased';

CREATE TABLE news (
    project_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    image_id BLOB,
    state TEXT,
    PRIMARY KEY (project_id, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX news_by_age ON news (at);

CREATE TABLE stream_tickets (
    -- SHA-256 of the ticket.
    ticket_hash BLOB PRIMARY KEY,
    project_id BLOB NOT NULL,
    -- SHA-256 of the credential it was made with: a revoked key closes its streams.
    credential BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    -- websocket: used up. sse: good for the same stream until it expires, as a browser reconnects with the same URL.
    used_for TEXT
) STRICT;

CREATE INDEX stream_tickets_by_age ON stream_tickets (expires_at);
