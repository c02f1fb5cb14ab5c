-- What the owner of a gallery changed about its order, and when.
CREATE TABLE gallery_changes (
    gallery_id BLOB NOT NULL,
    -- Rises by one within a gallery, whose newest 1,000 changes are kept.
    number INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    -- JSON: the ranking settings before and after, or how many rules were added and removed.
    what TEXT NOT NULL,
    PRIMARY KEY (gallery_id, number)
) STRICT, WITHOUT ROWID;
