-- Views and clicks of the gallery that erasures have taken out of files; they stay in applied_events and in the counters.
ALTER TABLE galleries ADD COLUMN erased_events BIGINT NOT NULL DEFAULT 0;
