//! The schemas of events: checked before acceptance for the types that reject, and at application for the others.
//!
//! Acceptance marks an event with the version of the schema in force. Every later judgement uses that version, so the
//! verdict never changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eyeline_core::event::{OnInvalid, SchemaMark};
use eyeline_core::{Envelope, Event, FieldErrors, ProjectId, Schema};
use eyeline_store::catalog::event_types::TypeInForce;
use eyeline_store::{Catalog, Error, Result};
use serde_json::Value;

use super::compiled::Compiled;
use super::judge::{self, Judged};
use crate::background::{Background, Yields};
use crate::flow::turns::{Places, Turns};
use crate::remembered::Remembered;

/// Bytes of the compiled schemas that are cached.
const COMPILED_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Bytes of the compiled schemas that one call may hold: as many as the largest one takes.
const CALL_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Requests that judge at once; fewer on a machine with less than four cores.
const PLACES_MAX: usize = 2;
/// The calls are those of requests, of the ingest, and of one replay.
pub const MEMORY_BYTES: u64 = COMPILED_BYTES_MAX + (PLACES_MAX as u64 + 2) * CALL_BYTES_MAX;
/// The longest time that a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests of one project that may wait.
const WAITING_MAX: usize = 1_000;
/// The longest time for which the events of one request are judged.
const REQUEST_TIME: Duration = Duration::from_secs(1);

/// Cheap to clone; clones share the caches.
#[derive(Clone)]
pub struct EventTypes {
    catalog: Catalog,
    in_force: Arc<Remembered<ProjectId, Arc<InForce>>>,
    compiled: Arc<Compiled<Version>>,
    turns: Turns,
    background: Background,
}

/// A version of a schema. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Version {
    project_id: ProjectId,
    category: String,
    name: String,
    version: u32,
}

/// The types of a project in force at one moment, by category and name.
pub struct InForce {
    types: HashMap<String, HashMap<String, Known>>,
}

struct Known {
    version: u32,
    on_invalid: OnInvalid,
    has_schema: bool,
}

/// The data of one event that is judged before acceptance.
struct Case {
    index: usize,
    data: Box<str>,
    schema: Arc<Schema>,
}

impl EventTypes {
    pub fn new(catalog: Catalog, background: Background) -> Self {
        let compiled = Arc::new(Compiled::new(COMPILED_BYTES_MAX));
        // Judging keeps a core busy, so half of the cores stay free for other work.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = Turns::new(Places {
            all: cores.div_ceil(2).min(PLACES_MAX),
            share: 1,
            waiting: WAITING_MAX,
            patience: PATIENCE,
            taken: "the events and schemas of other requests are being judged",
        });
        EventTypes { catalog, in_force: Arc::default(), compiled, turns, background }
    }

    /// Drops the cached types. Call it after every change of a type, so that later events are judged by the new schema.
    /// Other processes follow within 1 second.
    pub fn forget(&self) {
        self.in_force.forget();
    }

    /// The types that are in force.
    pub async fn in_force(&self, project_id: ProjectId) -> Result<Arc<InForce>> {
        let load = async { Ok(Some(Arc::new(InForce::from(self.catalog.types_in_force(project_id).await?)))) };
        let known = self.in_force.get_or_load(project_id, load).await?;
        Ok(known.unwrap_or_else(|| Arc::new(InForce::from(Vec::new()))))
    }

    /// Marks the events of a call with the schemas in force. Returns the errors of the events to reject, by index.
    pub async fn mark(
        &self,
        in_force: &InForce,
        project_id: ProjectId,
        envelopes: &mut [Envelope],
    ) -> Result<HashMap<usize, FieldErrors>> {
        let mut rejected = HashMap::new();
        let mut cases = Vec::new();
        let mut held = Held::default();
        let mut time = REQUEST_TIME;
        let mut schemas = HashMap::new();
        let mut turn = None;
        for index in 0..envelopes.len() {
            let envelope = &mut envelopes[index];
            let Some(known) = in_force.find(&envelope.category, &envelope.name) else { continue };
            let rejects = known.on_invalid == OnInvalid::Reject;
            envelope.schema = Some(SchemaMark { version: known.version, checked: rejects || !known.has_schema });
            if !rejects || !known.has_schema {
                continue;
            }
            if turn.is_none() {
                turn = Some(self.turns.take(project_id).await?);
            }
            let known_at = std::ptr::from_ref(known).addr();
            if !schemas.contains_key(&known_at) {
                let schema = self.schema(project_id, &envelope.category, &envelope.name, known.version).await?;
                if schema.as_ref().is_some_and(|schema| !held.hold(schema)) {
                    let pending = std::mem::take(&mut cases);
                    judge_at_the_door(&self.background, pending, envelopes, &mut rejected, &mut time).await?;
                    schemas.clear();
                    held = Held::default();
                    held.bytes = schema.as_ref().map_or(0, |schema| schema.bytes());
                }
                schemas.insert(known_at, schema);
            }
            let Some(Some(schema)) = schemas.get(&known_at) else { continue };
            cases.push(Case { index, data: std::mem::take(&mut envelopes[index].data), schema: schema.clone() });
        }
        if !cases.is_empty() {
            judge_at_the_door(&self.background, cases, envelopes, &mut rejected, &mut time).await?;
        }
        Ok(rejected)
    }

    /// Marks quarantined events with the schemas in force, and judges them by those.
    pub async fn judge_again(&self, in_force: &InForce, mut events: Vec<Event>) -> Result<Judged> {
        for event in &mut events {
            let known = in_force.find(&event.category, &event.name);
            event.schema = known.map(|known| SchemaMark { version: known.version, checked: false });
        }
        let mut judged = self.judge(events).await?;
        for (event, verdict) in &mut judged.events {
            if let (Some(mark), Ok(_)) = (&mut event.schema, verdict) {
                mark.checked = true;
            }
        }
        Ok(judged)
    }

    /// Judges stored events by the schemas of their marks, unless they were judged at acceptance.
    pub async fn judge(&self, mut events: Vec<Event>) -> Result<Judged> {
        let mut known = HashMap::new();
        let mut held = Held::default();
        let mut schemas = Vec::with_capacity(events.len());
        for event in &events {
            let schema = match event.schema {
                Some(SchemaMark { version, checked: false }) => {
                    let (category, name) = (event.category.as_str(), event.name.as_str());
                    match known.get(&(event.project_id, category, name, version)) {
                        Some(schema) => Option::clone(schema),
                        None => {
                            let schema = self.schema(event.project_id, category, name, version).await?;
                            if schema.as_ref().is_some_and(|schema| !held.hold(schema)) {
                                break;
                            }
                            known.insert((event.project_id, category, name, version), schema.clone());
                            schema
                        }
                    }
                }
                _ => None,
            };
            schemas.push(schema);
        }
        drop(known);
        let beyond = events.split_off(schemas.len());
        let mut judged = judge::judge(&self.background, events.into_iter().zip(schemas).collect()).await?;
        judged.rest.extend(beyond);
        Ok(judged)
    }

    /// Returns the errors of data by one version of a schema.
    pub async fn check(
        &self,
        project_id: ProjectId,
        category: &str,
        name: &str,
        version: u32,
        data: Value,
    ) -> Result<FieldErrors> {
        let _turn = self.turns.take(project_id).await?;
        let Some(schema) = self.schema(project_id, category, name, version).await? else {
            return Ok(FieldErrors::new());
        };
        self.background.run(Yields::Much, move || judge::errors(|| schema.check_value(&data))).await
    }

    /// The compiled schema of a version; `None` if it takes any object.
    async fn schema(
        &self,
        project_id: ProjectId,
        category: &str,
        name: &str,
        version: u32,
    ) -> Result<Option<Arc<Schema>>> {
        let key = Version { project_id, category: category.to_owned(), name: name.to_owned(), version };
        if let Some(known) = self.compiled.get(&key) {
            return Ok(known);
        }
        let text = self.catalog.event_schema(project_id, key.category.clone(), key.name.clone(), version).await?;
        let mut compiled = None;
        if let Some(text) = text {
            let corrupt = |error: String| Error::Corrupt(format!("schema {version} of {category} {name}: {error}"));
            let schema = serde_json::from_str(&text).map_err(|error| corrupt(error.to_string()))?;
            let schema = self.background.run(Yields::Much, move || Schema::compile(&schema)).await?.unwrap_or_else(|errors| {
                tracing::warn!(project.id = %project_id, category, name, version, ?errors, "a stored schema is no longer valid");
                Schema::refused()
            });
            compiled = Some(Arc::new(schema));
        }
        self.compiled.insert(key, compiled.clone());
        Ok(compiled)
    }

    /// Compiles a schema from a client, in the background. The inner error lists what is wrong with it.
    pub async fn compile(
        &self,
        project_id: ProjectId,
        schema: Value,
    ) -> Result<std::result::Result<Schema, FieldErrors>> {
        let _turn = self.turns.take(project_id).await?;
        self.background.run(Yields::Much, move || Schema::compile(&schema)).await
    }
}

/// Judges events of a call and returns their data to them. Subtracts the time taken from `time`.
async fn judge_at_the_door(
    background: &Background,
    cases: Vec<Case>,
    envelopes: &mut [Envelope],
    rejected: &mut HashMap<usize, FieldErrors>,
    time: &mut Duration,
) -> Result<()> {
    let start = Instant::now();
    let until = start + *time;
    let judge = move |Case { index, data, schema }: Case| {
        let errors = if Instant::now() < until {
            judge::errors(|| schema.check(&data))
        } else {
            FieldErrors::one("data", TOO_MANY)
        };
        (index, data, errors)
    };
    let judged = background.run(Yields::Much, move || cases.into_iter().map(judge).collect::<Vec<_>>()).await?;
    for (index, data, errors) in judged {
        envelopes[index].data = data;
        if !errors.is_empty() {
            rejected.insert(index, errors);
        }
    }
    *time = time.saturating_sub(start.elapsed());
    Ok(())
}

const TOO_MANY: &str = "Judging the events of this call took too long: send fewer in one call, or smaller ones.";

/// The distinct schemas that a call holds.
#[derive(Default)]
struct Held {
    /// By their addresses in memory.
    schemas: HashSet<usize>,
    bytes: u64,
}

impl Held {
    /// Returns false if the schema would exceed the call's bound.
    fn hold(&mut self, schema: &Arc<Schema>) -> bool {
        let address = Arc::as_ptr(schema).addr();
        if self.schemas.contains(&address) {
            return true;
        }
        let bytes = self.bytes + schema.bytes();
        if !self.schemas.is_empty() && bytes > CALL_BYTES_MAX {
            return false;
        }
        self.schemas.insert(address);
        self.bytes = bytes;
        true
    }
}

impl InForce {
    fn find(&self, category: &str, name: &str) -> Option<&Known> {
        self.types.get(category)?.get(name)
    }
}

impl From<Vec<TypeInForce>> for InForce {
    fn from(types: Vec<TypeInForce>) -> Self {
        let mut by_category = HashMap::<String, HashMap<String, Known>>::new();
        for TypeInForce { category, name, version, on_invalid, has_schema } in types {
            let known = Known { version, on_invalid, has_schema };
            by_category.entry(category).or_default().insert(name, known);
        }
        InForce { types: by_category }
    }
}
