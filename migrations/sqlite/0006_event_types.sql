-- What the events of a kind have to look like, and what is counted of them by the hour and by the day.

CREATE TABLE event_types (
    project_id BLOB NOT NULL REFERENCES projects (project_id),
    category TEXT NOT NULL,
    name TEXT NOT NULL,
    -- Of the schema; rises with every other one and is never used again, not even after a delete.
    version INTEGER NOT NULL,
    -- reject or quarantine.
    on_invalid TEXT NOT NULL,
    description TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- The row stays, as events name its versions.
    deleted_at INTEGER,
    PRIMARY KEY (project_id, category, name)
) STRICT;

-- Every version there ever was: events are judged by the one of their time.
CREATE TABLE event_schemas (
    project_id BLOB NOT NULL,
    category TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    -- JSON text; null takes any object.
    schema TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, category, name, version),
    FOREIGN KEY (project_id, category, name) REFERENCES event_types (project_id, category, name)
) STRICT;

-- Events by hour and by day (microseconds of its beginning, UTC) of their own timestamps.
CREATE TABLE event_hours (
    project_id BLOB NOT NULL,
    bucket INTEGER NOT NULL,
    application_id BLOB NOT NULL,
    category TEXT NOT NULL,
    name TEXT NOT NULL,
    events INTEGER NOT NULL,
    PRIMARY KEY (project_id, bucket, application_id, category, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE event_days (
    project_id BLOB NOT NULL,
    bucket INTEGER NOT NULL,
    application_id BLOB NOT NULL,
    category TEXT NOT NULL,
    name TEXT NOT NULL,
    events INTEGER NOT NULL,
    PRIMARY KEY (project_id, bucket, application_id, category, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE image_days (
    gallery_id BLOB NOT NULL,
    bucket INTEGER NOT NULL,
    image_id BLOB NOT NULL,
    views INTEGER NOT NULL,
    clicks INTEGER NOT NULL,
    PRIMARY KEY (gallery_id, bucket, image_id)
) STRICT, WITHOUT ROWID;

-- Projects of which something was kept apart that their listeners were not told of yet.
CREATE TABLE untold_quarantine (
    project_id BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- A receipt follows an event through quarantine by its id.
CREATE INDEX quarantine_by_event ON quarantine (application_id, event_id);

-- What is in quarantine counts for nothing.
INSERT INTO dropped_events (partition, event_offset)
SELECT partition, event_offset FROM quarantine WHERE true ON CONFLICT (partition, event_offset) DO NOTHING;
