-- Whose job it is, and its turn: projects take turns, however many jobs one of them has.
ALTER TABLE jobs ADD COLUMN project_id BLOB;
ALTER TABLE jobs ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;

CREATE INDEX jobs_next ON jobs (kind, turn, run_at) WHERE state = 'waiting';
CREATE INDEX jobs_of_project ON jobs (kind, project_id, turn) WHERE state <> 'dead';
