"""The queue of events: written by any thread, sent by one of its own."""
