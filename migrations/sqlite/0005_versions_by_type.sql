-- A version may be there in several types: JPEG or PNG, and WebP beside it.

CREATE TABLE versions_by_type (
    image_id BLOB NOT NULL REFERENCES images (image_id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    object_key TEXT NOT NULL,
    content_type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (image_id, name, content_type)
) STRICT;

INSERT INTO versions_by_type (image_id, name, object_key, content_type, width, height, bytes, sha256)
SELECT image_id, name, object_key, content_type, width, height, bytes, sha256 FROM versions;

DROP TABLE versions;
ALTER TABLE versions_by_type RENAME TO versions;
