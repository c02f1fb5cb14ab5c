-- What ingest has reached and knows. The events themselves are in the inbox.

CREATE TABLE partitions (
    partition BIGINT PRIMARY KEY,
    -- Every event up to this offset is in the counters.
    applied BIGINT NOT NULL
);

-- Ids that clients gave, for seven days from the first receipt: what was sent again is found here.
CREATE TABLE event_ids (
    application_id UUID NOT NULL,
    event_id UUID NOT NULL,
    partition BIGINT NOT NULL,
    event_offset BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (application_id, event_id)
);

CREATE INDEX event_ids_by_age ON event_ids (received_at);

-- Places in the inbox that count for nothing: the event was there before.
CREATE TABLE dropped_events (
    partition BIGINT NOT NULL,
    event_offset BIGINT NOT NULL,
    PRIMARY KEY (partition, event_offset)
);

-- Events kept apart with their reasons, to be tried again after a correction.
CREATE TABLE quarantine (
    partition BIGINT NOT NULL,
    event_offset BIGINT NOT NULL,
    -- All five are null when not even they could be read.
    project_id UUID,
    application_id UUID,
    event_id UUID,
    category TEXT COLLATE "C",
    name TEXT COLLATE "C",
    -- The cause in one word, and the field errors as JSON text.
    reason TEXT COLLATE "C" NOT NULL,
    errors TEXT COLLATE "C" NOT NULL,
    -- The record, byte for byte as it stands in the inbox.
    event BYTEA NOT NULL,
    quarantined_at BIGINT NOT NULL,
    PRIMARY KEY (partition, event_offset)
);

CREATE INDEX quarantine_by_project ON quarantine (project_id, quarantined_at, partition, event_offset);
