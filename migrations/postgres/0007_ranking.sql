-- What visitors' acts have taught ranking, what an owner decides over it, and what is compared with it.

-- Clicks, views and exposure of the image, decayed: 20 bytes; null before the first act.
ALTER TABLE gallery_images ADD COLUMN evidence BYTEA;
-- The gallery's prior, attention curve and age factors, with the sums they are learnt from; null before the first act.
ALTER TABLE galleries ADD COLUMN learnt BYTEA;

-- Where the server had served the images that counted acts tell of: for each such act of a batch its distance from the
-- act before it and the place, both as LEB128. The places are those of the server's own orders, whatever clients say.
CREATE TABLE served_places (
    partition BIGINT NOT NULL,
    first_offset BIGINT NOT NULL,
    last_offset BIGINT NOT NULL,
    places BYTEA NOT NULL,
    PRIMARY KEY (partition, first_offset)
);

-- The owner's rules as JSON text; null: none.
ALTER TABLE galleries ADD COLUMN rules TEXT;

-- What the sessions of a gallery with a hold-out did. A hold-out of another share begins anew.
CREATE TABLE holdout_sessions (
    gallery_id UUID NOT NULL,
    percent BIGINT NOT NULL,
    session_id UUID NOT NULL,
    -- A hash of visitor_id, else of session_id: what is drawn into an arm.
    visitor BIGINT NOT NULL,
    control BOOLEAN NOT NULL,
    views BIGINT NOT NULL,
    clicks BIGINT NOT NULL,
    PRIMARY KEY (gallery_id, percent, session_id)
);
