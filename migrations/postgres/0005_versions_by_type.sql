-- A version may be there in several types: JPEG or PNG, and WebP beside it.

ALTER TABLE versions DROP CONSTRAINT versions_pkey;
ALTER TABLE versions ADD PRIMARY KEY (image_id, name, content_type);
