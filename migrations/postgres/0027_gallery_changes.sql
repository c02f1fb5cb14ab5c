-- What the owner of a gallery changed about its order, and when.
CREATE TABLE gallery_changes (
    gallery_id UUID NOT NULL,
    -- Rises by one within a gallery, whose newest 1,000 changes are kept.
    number BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    -- JSON: the ranking settings before and after, or how many rules were added and removed.
    what TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (gallery_id, number)
);
