-- Sessions whose events were asked to be erased, and the receipts of it.

CREATE TABLE erasures (
    erasure_id BLOB PRIMARY KEY,
    project_id BLOB NOT NULL,
    session_id BLOB NOT NULL,
    -- Events received up to then are meant: shown to nobody from the request on.
    requested_at INTEGER NOT NULL,
    -- Null until no file has them any more.
    finished_at INTEGER,
    event_count INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX erasures_by_project ON erasures (project_id, requested_at, erasure_id);
CREATE INDEX erasures_under_way ON erasures (requested_at) WHERE finished_at IS NULL;
