-- Different sessions of a roll-up's row, reckoned when they are first asked for: right as long as the row has as many events
-- as then.
ALTER TABLE event_hours ADD COLUMN sessions INTEGER;
ALTER TABLE event_hours ADD COLUMN sessions_of INTEGER;
ALTER TABLE event_days ADD COLUMN sessions INTEGER;
ALTER TABLE event_days ADD COLUMN sessions_of INTEGER;
