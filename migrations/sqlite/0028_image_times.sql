-- The way of an image: when its file arrived, and when its versions were first ready. NULL before that, for images of a
-- dataset, and for images of earlier binaries.
ALTER TABLE images ADD COLUMN arrived_at INTEGER;
ALTER TABLE images ADD COLUMN prepared_at INTEGER;
