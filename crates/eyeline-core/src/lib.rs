//! The domain model of Eyeline: ids, times, states, presets, events, tiers, weights and ranking formulas.
//!
//! Nothing here reads a clock, draws a random number, waits or touches a disk, so every rule can be tested as a
//! function of its arguments.

pub mod access;
pub mod event;
pub mod field_errors;
pub mod id;
pub mod image_error;
pub mod image_state;
pub mod parts;
pub mod preset;
pub mod ranking;
pub mod schema;
pub mod text;
pub mod time;
pub mod weight;

pub use access::{AccessClass, Tier, Visibility};
pub use event::{Envelope, Event, Outline};
pub use field_errors::FieldErrors;
pub use id::{ApplicationId, ErasureId, EventId, GalleryId, ImageId, JobId, OrderId, ProjectId, SessionId};
pub use image_error::ImageErrorCode;
pub use image_state::ImageState;
pub use parts::Parts;
pub use preset::{PRESETS, Preset, Webp};
pub use ranking::{Ranking, Strategy};
pub use schema::Schema;
pub use time::Timestamp;
pub use weight::WeightFactors;
