-- Offsets get gaps, so that events that are applied and not in files have to be counted.

-- Up to now the offsets between the two watermarks had no gaps.
ALTER TABLE partitions ADD COLUMN waiting BIGINT NOT NULL DEFAULT 0;
UPDATE partitions SET waiting = applied - flushed;
