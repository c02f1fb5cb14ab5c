-- Several processes share the partitions.

-- The processes that take their share, and until when each passes for alive, in real time.
CREATE TABLE partition_owners (
    node TEXT NOT NULL PRIMARY KEY,
    lease_until INTEGER NOT NULL
) STRICT;

-- The inbox whose offsets the watermarks are. NULL until a binary that knows it claims the partition.
ALTER TABLE partitions ADD COLUMN inbox_id BLOB;

-- How far each erasure under way has come in a partition.
CREATE TABLE erasure_partitions (
    erasure_id BLOB NOT NULL,
    partition INTEGER NOT NULL,
    -- Events up to this offset have to be in files first.
    up_to INTEGER NOT NULL,
    is_done INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (erasure_id, partition)
) STRICT;

-- Work that one process does at a time.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    -- Rises with every claim.
    fence INTEGER NOT NULL,
    -- In real time; 0 if it was released.
    lease_until INTEGER NOT NULL
) STRICT;
