-- Owners and their credentials. Times are microseconds since 1970 UTC; compared text is in byte order.

CREATE TABLE projects (
    project_id UUID PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    tier TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    -- Set at once by a delete; a job clears what belongs to the project later.
    deleted_at BIGINT,
    -- The number of the newest piece of news; updated last in a transaction, so commit order is number order.
    news_seq BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX projects_by_age ON projects (created_at, project_id);
CREATE INDEX projects_to_clear ON projects (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE applications (
    application_id UUID PRIMARY KEY,
    project_id UUID NOT NULL REFERENCES projects (project_id),
    name TEXT COLLATE "C" NOT NULL,
    -- Encrypted: needed again to check user tokens.
    signing_secret BYTEA NOT NULL,
    ed25519_public_key TEXT COLLATE "C",
    created_at BIGINT NOT NULL
);

CREATE INDEX applications_by_project ON applications (project_id, created_at, application_id);

-- Where browsers may use the application's public id from; none: from nowhere.
CREATE TABLE application_origins (
    -- As browsers send it: https://shop.example
    origin TEXT COLLATE "C" NOT NULL,
    application_id UUID NOT NULL REFERENCES applications (application_id) ON DELETE CASCADE,
    PRIMARY KEY (origin, application_id)
);

CREATE INDEX application_origins_by_application ON application_origins (application_id);

CREATE TABLE api_keys (
    -- SHA-256 of the key; the key itself has 256 random bits, so no slow hash is needed.
    key_hash BYTEA PRIMARY KEY,
    application_id UUID NOT NULL REFERENCES applications (application_id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    -- Set by a rotation: both keys work until then.
    expires_at BIGINT
);

CREATE INDEX api_keys_by_application ON api_keys (application_id);

CREATE TABLE idempotency (
    -- SHA-256 of the credential.
    credential BYTEA NOT NULL,
    -- Method and path.
    route TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    body_hash BYTEA NOT NULL,
    status BIGINT NOT NULL,
    -- The first answer without its secrets, as JSON text.
    answer TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (credential, route, key)
);

CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- Single values of the installation: the offset of the test clock and the like.
CREATE TABLE facts (
    name TEXT COLLATE "C" PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);
