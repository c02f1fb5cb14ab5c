-- Events may be kept for a time only. What those before a cut had come to stays, as a base that counting goes on from.

-- No event up to this offset is in a file any more: galleries.base_cut and base_pieces have what they came to.
ALTER TABLE partitions ADD COLUMN cut BIGINT NOT NULL DEFAULT 0;
-- Every event with a timestamp from then on is still there; null before the first cut.
ALTER TABLE partitions ADD COLUMN complete_from BIGINT;

-- The cut that the gallery's base is of; 0: it has none.
ALTER TABLE galleries ADD COLUMN base_cut BIGINT NOT NULL DEFAULT 0;

-- Bases in pieces. Those of another cut than the gallery's base_cut were replaced, or are of a cut that is not made yet.
CREATE TABLE base_pieces (
    gallery_id UUID NOT NULL,
    cut BIGINT NOT NULL,
    -- 0 what was learnt, 1 images, 2 a source and 3 a session that the guard remembers.
    kind BIGINT NOT NULL,
    piece_key BYTEA NOT NULL,
    state BYTEA NOT NULL,
    PRIMARY KEY (gallery_id, cut, kind, piece_key)
);
