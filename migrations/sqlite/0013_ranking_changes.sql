-- From which event on a gallery's events are counted in another way, guarded or with another half-life, so that the same
-- can be counted again. Of a half-life that was changed before this there is no record.
CREATE TABLE ranking_changes (
    gallery_id BLOB NOT NULL,
    partition INTEGER NOT NULL,
    -- The last event of the partition that was applied before.
    after_offset INTEGER NOT NULL,
    -- As in galleries.ranking.
    was TEXT NOT NULL,
    became TEXT NOT NULL,
    PRIMARY KEY (gallery_id, partition, after_offset)
) STRICT, WITHOUT ROWID;

INSERT INTO ranking_changes
SELECT s.gallery_id, s.partition, s.after_offset,
       json_set(g.ranking, '$.guard', json(iif(s.was_on, 'true', 'false'))),
       json_set(g.ranking, '$.guard', json(iif(s.is_on, 'true', 'false')))
FROM guard_switches s JOIN galleries g ON g.gallery_id = s.gallery_id;

DROP TABLE guard_switches;
