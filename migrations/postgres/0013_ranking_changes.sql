-- From which event on a gallery's events are counted in another way, guarded or with another half-life, so that the same
-- can be counted again. Of a half-life that was changed before this there is no record.
CREATE TABLE ranking_changes (
    gallery_id UUID NOT NULL,
    partition BIGINT NOT NULL,
    -- The last event of the partition that was applied before.
    after_offset BIGINT NOT NULL,
    -- As in galleries.ranking.
    was TEXT COLLATE "C" NOT NULL,
    became TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (gallery_id, partition, after_offset)
);

INSERT INTO ranking_changes
SELECT s.gallery_id, s.partition, s.after_offset,
       (g.ranking::jsonb || jsonb_build_object('guard', s.was_on))::text,
       (g.ranking::jsonb || jsonb_build_object('guard', s.is_on))::text
FROM guard_switches s JOIN galleries g ON g.gallery_id = s.gallery_id;

DROP TABLE guard_switches;
