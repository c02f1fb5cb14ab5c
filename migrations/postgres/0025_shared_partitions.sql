-- Several processes share the partitions.

-- The processes that take their share, and until when each passes for alive, in real time.
CREATE TABLE partition_owners (
    node TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    lease_until BIGINT NOT NULL
);

-- The inbox whose offsets the watermarks are. NULL until a binary that knows it claims the partition.
ALTER TABLE partitions ADD COLUMN inbox_id UUID;

-- How far each erasure under way has come in a partition.
CREATE TABLE erasure_partitions (
    erasure_id UUID NOT NULL,
    partition BIGINT NOT NULL,
    -- Events up to this offset have to be in files first.
    up_to BIGINT NOT NULL,
    is_done BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (erasure_id, partition)
);

-- Work that one process does at a time.
CREATE TABLE leases (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- Rises with every claim.
    fence BIGINT NOT NULL,
    -- In real time; 0 if it was released.
    lease_until BIGINT NOT NULL
);
