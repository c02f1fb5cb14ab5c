-- Finds an event that takes the process down: its partition goes on one event at a time.

-- Claims in a row that found the one before neither given back nor moved on.
ALTER TABLE partitions ADD COLUMN strikes INTEGER NOT NULL DEFAULT 0;
-- The applied offset at the newest claim.
ALTER TABLE partitions ADD COLUMN claimed_applied INTEGER NOT NULL DEFAULT 0;
-- The event that was tried alone last, and how many claims have tried it.
ALTER TABLE partitions ADD COLUMN tried_offset INTEGER;
ALTER TABLE partitions ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
