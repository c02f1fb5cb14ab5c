-- A gallery's public page: whether it is open, whether search engines may list it, and the application that its visitors
-- send events with.
ALTER TABLE galleries ADD COLUMN page_enabled BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE galleries ADD COLUMN page_indexed BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE galleries ADD COLUMN page_application_id UUID REFERENCES applications (application_id) ON DELETE SET NULL;

CREATE UNIQUE INDEX galleries_by_page_application ON galleries (page_application_id) WHERE page_application_id IS NOT NULL;
