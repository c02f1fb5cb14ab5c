"""The queue of events: filled by any thread, sent by its own."""
