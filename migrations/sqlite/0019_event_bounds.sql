-- Bounds for what events of a project leave behind.

-- What each project has in quarantine. Triggers keep it, whatever changes the quarantine.
CREATE TABLE quarantine_totals (
    project_id BLOB PRIMARY KEY,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    -- Events that were dropped since the quarantine was full.
    dropped INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

INSERT INTO quarantine_totals (project_id, events, bytes)
SELECT project_id, count(*), sum(length(event) + octet_length(errors)) FROM quarantine
WHERE project_id IS NOT NULL GROUP BY project_id;

CREATE TRIGGER quarantine_kept AFTER INSERT ON quarantine WHEN NEW.project_id IS NOT NULL BEGIN
    INSERT INTO quarantine_totals (project_id, events, bytes)
    VALUES (NEW.project_id, 1, length(NEW.event) + octet_length(NEW.errors))
    ON CONFLICT (project_id) DO UPDATE SET events = events + 1, bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER quarantine_left AFTER DELETE ON quarantine WHEN OLD.project_id IS NOT NULL BEGIN
    UPDATE quarantine_totals SET events = events - 1, bytes = bytes - length(OLD.event) - octet_length(OLD.errors)
    WHERE project_id = OLD.project_id;
END;

CREATE TRIGGER quarantine_renewed AFTER UPDATE OF errors ON quarantine WHEN NEW.project_id IS NOT NULL BEGIN
    UPDATE quarantine_totals SET bytes = bytes + octet_length(NEW.errors) - octet_length(OLD.errors)
    WHERE project_id = NEW.project_id;
END;

-- The rows of event_hours that a project's events have made on their newest day of arrival.
CREATE TABLE rollup_growth (
    project_id BLOB PRIMARY KEY,
    day INTEGER NOT NULL,
    hour_rows INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
