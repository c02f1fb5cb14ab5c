-- Owners and their credentials. Times are microseconds since 1970 UTC; ids are the 16 bytes of a UUID.

CREATE TABLE projects (
    project_id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    tier TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- Set at once by a delete; a job clears what belongs to the project later.
    deleted_at INTEGER,
    -- The number of the newest piece of news; updated last in a transaction, so commit order is number order.
    news_seq INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX projects_by_age ON projects (created_at, project_id);
CREATE INDEX projects_to_clear ON projects (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE applications (
    application_id BLOB PRIMARY KEY,
    project_id BLOB NOT NULL REFERENCES projects (project_id),
    name TEXT NOT NULL,
    -- Encrypted: needed again to check user tokens.
    signing_secret BLOB NOT NULL,
    ed25519_public_key TEXT,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX applications_by_project ON applications (project_id, created_at, application_id);

-- Where browsers may use the application's public id from; none: from nowhere.
CREATE TABLE application_origins (
    -- As browsers send it: https://shop.example
    origin TEXT NOT NULL,
    application_id BLOB NOT NULL REFERENCES applications (application_id) ON DELETE CASCADE,
    PRIMARY KEY (origin, application_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX application_origins_by_application ON application_origins (application_id);

CREATE TABLE api_keys (
    -- SHA-256 of the key; the key itself has 256 random bits, so no slow hash is needed.
    key_hash BLOB PRIMARY KEY,
    application_id BLOB NOT NULL REFERENCES applications (application_id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    -- Set by a rotation: both keys work until then.
    expires_at INTEGER
) STRICT;

CREATE INDEX api_keys_by_application ON api_keys (application_id);

CREATE TABLE idempotency (
    -- SHA-256 of the credential.
    credential BLOB NOT NULL,
    -- Method and path.
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash BLOB NOT NULL,
    status INTEGER NOT NULL,
    -- The first answer without its secrets, as JSON text.
    answer TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (credential, route, key)
) STRICT;

CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- Single values of the installation: the offset of the test clock and the like.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
