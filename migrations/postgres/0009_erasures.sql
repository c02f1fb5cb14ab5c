-- Sessions whose events were asked to be erased, and the receipts of it.

CREATE TABLE erasures (
    erasure_id UUID PRIMARY KEY,
    project_id UUID NOT NULL,
    session_id UUID NOT NULL,
    -- Events received up to then are meant: shown to nobody from the request on.
    requested_at BIGINT NOT NULL,
    -- Null until no file has them any more.
    finished_at BIGINT,
    event_count BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX erasures_by_project ON erasures (project_id, requested_at, erasure_id);
CREATE INDEX erasures_under_way ON erasures (requested_at) WHERE finished_at IS NULL;
