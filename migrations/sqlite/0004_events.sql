-- What ingest has reached and knows. The events themselves are in the inbox.

CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    -- Every event up to this offset is in the counters.
    applied INTEGER NOT NULL
) STRICT;

-- Ids that clients gave, for seven days from the first receipt: what was sent again is found here.
CREATE TABLE event_ids (
    application_id BLOB NOT NULL,
    event_id BLOB NOT NULL,
    partition INTEGER NOT NULL,
    event_offset INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (application_id, event_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX event_ids_by_age ON event_ids (received_at);

-- Places in the inbox that count for nothing: the event was there before.
CREATE TABLE dropped_events (
    partition INTEGER NOT NULL,
    event_offset INTEGER NOT NULL,
    PRIMARY KEY (partition, event_offset)
) STRICT, WITHOUT ROWID;

-- Events kept apart with their reasons, to be tried again after a correction.
CREATE TABLE quarantine (
    partition INTEGER NOT NULL,
    event_offset INTEGER NOT NULL,
    -- All five are null when not even they could be read.
    project_id BLOB,
    application_id BLOB,
    event_id BLOB,
    category TEXT,
    name TEXT,
    -- The cause in one word, and the field errors as JSON text.
    reason TEXT NOT NULL,
    errors TEXT NOT NULL,
    -- The record, byte for byte as it stands in the inbox.
    event BLOB NOT NULL,
    quarantined_at INTEGER NOT NULL,
    PRIMARY KEY (partition, event_offset)
) STRICT;

CREATE INDEX quarantine_by_project ON quarantine (project_id, quarantined_at, partition, event_offset);
