-- Which files of events there are. Together with what the inbox holds after the mark of `flushed`, and without
-- `dropped_events`, they are all events, each once.

-- Every event up to this offset is in a file of the lake, or counts for nothing.
ALTER TABLE partitions ADD COLUMN flushed INTEGER NOT NULL DEFAULT 0;
-- The inbox may have let go of everything up to this offset.
ALTER TABLE partitions ADD COLUMN trimmed INTEGER NOT NULL DEFAULT 0;

CREATE TABLE lake_files (
    object_key TEXT PRIMARY KEY,
    partition INTEGER NOT NULL,
    -- The span of received_at that its events share: 0 a part of an hour, 1 an hour, 2 a day.
    level INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,
    first_offset INTEGER NOT NULL,
    last_offset INTEGER NOT NULL,
    first_timestamp INTEGER NOT NULL,
    last_timestamp INTEGER NOT NULL,
    first_received_at INTEGER NOT NULL,
    last_received_at INTEGER NOT NULL
) STRICT;
