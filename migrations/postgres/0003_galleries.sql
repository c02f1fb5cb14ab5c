-- Galleries, their images and what visitors did with them.

CREATE TABLE galleries (
    gallery_id UUID PRIMARY KEY,
    project_id UUID NOT NULL REFERENCES projects (project_id),
    name TEXT COLLATE "C" NOT NULL,
    page_size BIGINT NOT NULL,
    visibility TEXT COLLATE "C" NOT NULL,
    access_tier TEXT COLLATE "C" NOT NULL,
    -- The ranking settings, as JSON text.
    ranking TEXT COLLATE "C" NOT NULL,
    -- The ordinal that the next image gets; never reused.
    next_ordinal BIGINT NOT NULL DEFAULT 0,
    -- Rises with every change of images or counters; ranking reads the rows changed since the revision it knows.
    revision BIGINT NOT NULL DEFAULT 0,
    -- The revision at the last change of what a page shows, counters aside.
    item_revision BIGINT NOT NULL DEFAULT 0,
    -- View and click events counted so far.
    applied_events BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- Set at once by a delete; what belongs to the gallery is cleared later, piece by piece.
    deleted_at BIGINT
);

CREATE INDEX galleries_by_project ON galleries (project_id, created_at, gallery_id);

CREATE TABLE gallery_images (
    gallery_id UUID NOT NULL REFERENCES galleries (gallery_id),
    -- The image's permanent place in the gallery's numbering: its insertion number.
    ordinal BIGINT NOT NULL,
    -- May name an image that was deleted: the row stays, so that whoever ranks hears of it.
    image_id UUID NOT NULL,
    external_id TEXT COLLATE "C",
    -- False once taken out: the counters stay, and are back when the image is.
    listed BOOLEAN NOT NULL,
    views BIGINT NOT NULL DEFAULT 0,
    clicks BIGINT NOT NULL DEFAULT 0,
    -- The gallery's revision at the last change of this row or of its image.
    revision BIGINT NOT NULL,
    PRIMARY KEY (gallery_id, ordinal)
);

CREATE UNIQUE INDEX gallery_images_by_image ON gallery_images (gallery_id, image_id);
CREATE INDEX gallery_images_of_image ON gallery_images (image_id);
CREATE UNIQUE INDEX gallery_images_by_external_id ON gallery_images (gallery_id, external_id)
    WHERE external_id IS NOT NULL;
CREATE INDEX gallery_images_changed ON gallery_images (gallery_id, revision, ordinal);
CREATE INDEX galleries_to_clear ON galleries (deleted_at) WHERE deleted_at IS NOT NULL;
