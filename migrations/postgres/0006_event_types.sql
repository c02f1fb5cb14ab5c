-- What the events of a kind have to look like, and what is counted of them by the hour and by the day.

CREATE TABLE event_types (
    project_id UUID NOT NULL REFERENCES projects (project_id),
    category TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    -- Of the schema; rises with every other one and is never used again, not even after a delete.
    version BIGINT NOT NULL,
    -- reject or quarantine.
    on_invalid TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- The row stays, as events name its versions.
    deleted_at BIGINT,
    PRIMARY KEY (project_id, category, name)
);

-- Every version there ever was: events are judged by the one of their time.
CREATE TABLE event_schemas (
    project_id UUID NOT NULL,
    category TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    -- JSON text; null takes any object.
    schema TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, category, name, version),
    FOREIGN KEY (project_id, category, name) REFERENCES event_types (project_id, category, name)
);

-- Events by hour and by day (microseconds of its beginning, UTC) of their own timestamps.
CREATE TABLE event_hours (
    project_id UUID NOT NULL,
    bucket BIGINT NOT NULL,
    application_id UUID NOT NULL,
    category TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    events BIGINT NOT NULL,
    PRIMARY KEY (project_id, bucket, application_id, category, name)
);

CREATE TABLE event_days (
    project_id UUID NOT NULL,
    bucket BIGINT NOT NULL,
    application_id UUID NOT NULL,
    category TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    events BIGINT NOT NULL,
    PRIMARY KEY (project_id, bucket, application_id, category, name)
);

CREATE TABLE image_days (
    gallery_id UUID NOT NULL,
    bucket BIGINT NOT NULL,
    image_id UUID NOT NULL,
    views BIGINT NOT NULL,
    clicks BIGINT NOT NULL,
    PRIMARY KEY (gallery_id, bucket, image_id)
);

-- Projects of which something was kept apart that their listeners were not told of yet.
CREATE TABLE untold_quarantine (
    project_id UUID PRIMARY KEY
);

-- A receipt follows an event through quarantine by its id.
CREATE INDEX quarantine_by_event ON quarantine (application_id, event_id);

-- What is in quarantine counts for nothing.
INSERT INTO dropped_events (partition, event_offset)
SELECT partition, event_offset FROM quarantine WHERE true ON CONFLICT (partition, event_offset) DO NOTHING;
