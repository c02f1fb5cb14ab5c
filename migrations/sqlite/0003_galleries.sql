-- Galleries, their images and what visitors did with them.

CREATE TABLE galleries (
    gallery_id BLOB PRIMARY KEY,
    project_id BLOB NOT NULL REFERENCES projects (project_id),
    name TEXT NOT NULL,
    page_size INTEGER NOT NULL,
    visibility TEXT NOT NULL,
    access_tier TEXT NOT NULL,
    -- The ranking settings, as JSON text.
    ranking TEXT NOT NULL,
    -- The ordinal that the next image gets; never reused.
    next_ordinal INTEGER NOT NULL DEFAULT 0,
    -- Rises with every change of images or counters; ranking reads the rows changed since the revision it knows.
    revision INTEGER NOT NULL DEFAULT 0,
    -- The revision at the last change of what a page shows, counters aside.
    item_revision INTEGER NOT NULL DEFAULT 0,
    -- View and click events counted so far.
    applied_events INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- Set at once by a delete; what belongs to the gallery is cleared later, piece by piece.
    deleted_at INTEGER
) STRICT;

CREATE INDEX galleries_by_project ON galleries (project_id, created_at, gallery_id);

CREATE TABLE gallery_images (
    gallery_id BLOB NOT NULL REFERENCES galleries (gallery_id),
    -- The image's permanent place in the gallery's numbering: its insertion number.
    ordinal INTEGER NOT NULL,
    -- May name an image that was deleted: the row stays, so that whoever ranks hears of it.
    image_id BLOB NOT NULL,
    external_id TEXT,
    -- False once taken out: the counters stay, and are back when the image is.
    listed INTEGER NOT NULL,
    views INTEGER NOT NULL DEFAULT 0,
    clicks INTEGER NOT NULL DEFAULT 0,
    -- The gallery's revision at the last change of this row or of its image.
    revision INTEGER NOT NULL,
    PRIMARY KEY (gallery_id, ordinal)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX gallery_images_by_image ON gallery_images (gallery_id, image_id);
CREATE INDEX gallery_images_of_image ON gallery_images (image_id);
CREATE UNIQUE INDEX gallery_images_by_external_id ON gallery_images (gallery_id, external_id)
    WHERE external_id IS NOT NULL;
CREATE INDEX gallery_images_changed ON gallery_images (gallery_id, revision, ordinal);
CREATE INDEX galleries_to_clear ON galleries (deleted_at) WHERE deleted_at IS NOT NULL;
