-- What is compared in a hold-out is a strategy with a control order. Figures of another share, strategy or control are
-- kept apart; those from before are of the gallery's strategy against the newest.
ALTER TABLE holdout_sessions RENAME TO holdout_sessions_by_share;

CREATE TABLE holdout_sessions (
    gallery_id BLOB NOT NULL,
    percent INTEGER NOT NULL,
    -- The strategies that the two groups see.
    treatment TEXT NOT NULL,
    control TEXT NOT NULL,
    session_id BLOB NOT NULL,
    -- A hash of visitor_id, else of session_id: what is drawn into a group.
    visitor INTEGER NOT NULL,
    -- It is of the control group.
    held_out INTEGER NOT NULL,
    views INTEGER NOT NULL,
    clicks INTEGER NOT NULL,
    PRIMARY KEY (gallery_id, percent, treatment, control, session_id)
) STRICT, WITHOUT ROWID;

INSERT INTO holdout_sessions
SELECT s.gallery_id, s.percent, coalesce(json_extract(g.ranking, '$.strategy'), 'weight'), 'newest', s.session_id,
       s.visitor, s.control, s.views, s.clicks
FROM holdout_sessions_by_share s JOIN galleries g ON g.gallery_id = s.gallery_id;

DROP TABLE holdout_sessions_by_share;
