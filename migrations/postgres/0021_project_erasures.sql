-- An erasure of all that a deleted project's sessions did; its session_id means nothing.
ALTER TABLE erasures ADD COLUMN whole_project BOOLEAN NOT NULL DEFAULT FALSE;
