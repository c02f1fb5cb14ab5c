-- What guarded galleries rank by, beside the exact numbers.

-- Views and clicks of the image that the guard left out.
ALTER TABLE gallery_images ADD COLUMN ignored_views BIGINT NOT NULL DEFAULT 0;
ALTER TABLE gallery_images ADD COLUMN ignored_clicks BIGINT NOT NULL DEFAULT 0;
-- The same over all images.
ALTER TABLE galleries ADD COLUMN ignored_events BIGINT NOT NULL DEFAULT 0;
-- The latest minute of an act that the guard has judged, since 1970.
ALTER TABLE galleries ADD COLUMN guard_minute BIGINT NOT NULL DEFAULT 0;

-- What a guard remembers of a source (a salted hash of network and browser), for a day from its first act on.
CREATE TABLE guard_sources (
    gallery_id UUID NOT NULL,
    source BIGINT NOT NULL,
    -- The minute of its first act.
    since BIGINT NOT NULL,
    state BYTEA NOT NULL,
    PRIMARY KEY (gallery_id, source)
);

CREATE INDEX guard_sources_by_age ON guard_sources (since);

-- What a session did from a source that counts, so that it counts once and can be taken back; for a day.
CREATE TABLE guard_visits (
    gallery_id UUID NOT NULL,
    session_id UUID NOT NULL,
    -- 0: it came from none.
    source BIGINT NOT NULL,
    since BIGINT NOT NULL,
    seen BYTEA NOT NULL,
    PRIMARY KEY (gallery_id, session_id, source)
);

CREATE INDEX guard_visits_by_source ON guard_visits (gallery_id, source);
CREATE INDEX guard_visits_by_age ON guard_visits (since);

-- From which event on a guard was switched on or off, so that the same can be counted again.
CREATE TABLE guard_switches (
    gallery_id UUID NOT NULL,
    partition BIGINT NOT NULL,
    -- The last event of the partition that was applied before.
    after_offset BIGINT NOT NULL,
    was_on BOOLEAN NOT NULL,
    is_on BOOLEAN NOT NULL,
    PRIMARY KEY (gallery_id, partition, after_offset)
);
