//! The steps of the flow without HTTP, one file for each step: on embedded engines, and with several owners on
//! PostgreSQL and NATS too, the servers in `EYELINE_TEST_POSTGRES_URL` and `EYELINE_TEST_NATS_URL`;
//! `scripts/with-postgres` and `scripts/with-nats` start them.

mod events;
mod owners;
mod owners_support;
mod partitions;
mod quarantine;
