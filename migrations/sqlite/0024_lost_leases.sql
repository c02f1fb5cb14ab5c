-- A server that stops is no reason to give up a photo.

-- Leases on the job that ended without a result. Up to now each of them counted as a death.
ALTER TABLE jobs ADD COLUMN losses INTEGER NOT NULL DEFAULT 0;
