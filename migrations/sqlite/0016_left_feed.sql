-- A full feed takes the pictures out of the gallery that it does not have any more.

-- True for an image that left this way: it returns with the next feed that has it. One that its owner took out does not.
ALTER TABLE gallery_images ADD COLUMN left_feed INTEGER NOT NULL DEFAULT 0;

CREATE INDEX gallery_images_left ON gallery_images (image_id) WHERE left_feed;
