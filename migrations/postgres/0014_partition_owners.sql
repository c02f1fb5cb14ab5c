-- One process at a time takes in the events of a partition.

-- Which one claimed it last: the name of its data folder.
ALTER TABLE partitions ADD COLUMN owner TEXT COLLATE "C";
-- Rises with every claim: what comes with an older one is refused.
ALTER TABLE partitions ADD COLUMN fence BIGINT NOT NULL DEFAULT 0;
-- Until when nobody else may claim it, in real time.
ALTER TABLE partitions ADD COLUMN lease_until BIGINT NOT NULL DEFAULT 0;
