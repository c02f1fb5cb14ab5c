//! The steps of the flow without HTTP, one file for each step: on embedded engines, and with several owners on
//! PostgreSQL too, the server in `EYELINE_TEST_POSTGRES_URL`; `scripts/with-postgres` starts one.

mod events;
mod owners;
mod owners_support;
mod partitions;
mod quarantine;
