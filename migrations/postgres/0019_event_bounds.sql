-- Bounds for what events of a project leave behind.

-- What each project has in quarantine. A trigger keeps it, whatever changes the quarantine.
CREATE TABLE quarantine_totals (
    project_id UUID PRIMARY KEY,
    events BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    -- Events that were dropped since the quarantine was full.
    dropped BIGINT NOT NULL DEFAULT 0
);

INSERT INTO quarantine_totals (project_id, events, bytes)
SELECT project_id, count(*), sum(octet_length(event) + octet_length(errors)) FROM quarantine
WHERE project_id IS NOT NULL GROUP BY project_id;

CREATE FUNCTION count_quarantine() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO quarantine_totals (project_id, events, bytes)
        SELECT project_id, count(*), sum(octet_length(event) + octet_length(errors)) FROM new_rows
        WHERE project_id IS NOT NULL GROUP BY project_id ORDER BY project_id
        ON CONFLICT (project_id) DO UPDATE SET events = quarantine_totals.events + excluded.events,
                                               bytes = quarantine_totals.bytes + excluded.bytes;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE quarantine_totals t SET events = t.events - o.events, bytes = t.bytes - o.bytes
        FROM (SELECT project_id, count(*) AS events, sum(octet_length(event) + octet_length(errors)) AS bytes
              FROM old_rows GROUP BY project_id) AS o
        WHERE t.project_id = o.project_id;
    ELSE
        UPDATE quarantine_totals t SET bytes = t.bytes + n.bytes - o.bytes
        FROM (SELECT project_id, sum(octet_length(errors)) AS bytes FROM new_rows GROUP BY project_id) AS n,
             (SELECT project_id, sum(octet_length(errors)) AS bytes FROM old_rows GROUP BY project_id) AS o
        WHERE t.project_id = n.project_id AND t.project_id = o.project_id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER quarantine_kept AFTER INSERT ON quarantine
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_quarantine();
CREATE TRIGGER quarantine_left AFTER DELETE ON quarantine
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_quarantine();
CREATE TRIGGER quarantine_renewed AFTER UPDATE ON quarantine
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_quarantine();

-- The rows of event_hours that a project's events have made on their newest day of arrival.
CREATE TABLE rollup_growth (
    project_id UUID PRIMARY KEY,
    day BIGINT NOT NULL,
    hour_rows BIGINT NOT NULL
);
