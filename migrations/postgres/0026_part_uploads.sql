-- Uploads in parts.

-- Written with the image, and kept until no link to a part can be used any more: so the sweep finds what is left over of
-- an upload, also after its image was deleted.
CREATE TABLE part_uploads (
    image_id UUID NOT NULL PRIMARY KEY,
    -- The size of every part but the last.
    part_bytes BIGINT NOT NULL,
    -- The folder of the parts where the objects are in one, and the key to which parts are joined.
    incoming_key TEXT COLLATE "C" NOT NULL,
    original_key TEXT COLLATE "C" NOT NULL,
    -- The store's id of the upload. NULL until a client asks for links to parts.
    upload_id TEXT COLLATE "C",
    -- The end of the newest link, in real time.
    links_expire_at BIGINT NOT NULL,
    -- Set once the image waits for no parts any more: the upload is ended once more and forgotten at this real time.
    forget_from BIGINT
);
