-- A gallery's public page: whether it is open, whether search engines may list it, and the application that its visitors
-- send events with.
ALTER TABLE galleries ADD COLUMN page_enabled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE galleries ADD COLUMN page_indexed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE galleries ADD COLUMN page_application_id BLOB REFERENCES applications (application_id) ON DELETE SET NULL;

CREATE UNIQUE INDEX galleries_by_page_application ON galleries (page_application_id) WHERE page_application_id IS NOT NULL;
