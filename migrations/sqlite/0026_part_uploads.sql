-- Uploads in parts.

-- Written with the image, and kept until no link to a part can be used any more: so the sweep finds what is left over of
-- an upload, also after its image was deleted.
CREATE TABLE part_uploads (
    image_id BLOB NOT NULL PRIMARY KEY,
    -- The size of every part but the last.
    part_bytes INTEGER NOT NULL,
    -- The folder of the parts where the objects are in one, and the key to which parts are joined.
    incoming_key TEXT NOT NULL,
    original_key TEXT NOT NULL,
    -- The store's id of the upload. NULL until a client asks for links to parts.
    upload_id TEXT,
    -- The end of the newest link, in real time.
    links_expire_at INTEGER NOT NULL,
    -- Set once the image waits for no parts any more: the upload is ended once more and forgotten at this real time.
    forget_from INTEGER
) STRICT;
