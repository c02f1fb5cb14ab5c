//! What events have to look like: at the door for the types that reject, when they are applied for the others.
//!
//! The door marks an event with the version of the schema that was in force: whenever and however often the event is
//! judged, it is by that one, so the verdict never changes afterwards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use eyeline_core::event::{OnInvalid, SchemaMark};
use eyeline_core::{Envelope, Event, FieldErrors, ProjectId, Schema};
use eyeline_store::catalog::event_types::TypeInForce;
use eyeline_store::{Catalog, Error, Result};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::remembered::Remembered;

/// Compiled schemas kept at the most.
const COMPILED_MAX: usize = 1_000;

/// Cheap to clone; clones share what is remembered.
#[derive(Clone)]
pub struct EventTypes {
    catalog: Catalog,
    in_force: Arc<Remembered<ProjectId, Arc<InForce>>>,
    compiled: Arc<Mutex<HashMap<Version, Arc<Schema>>>>,
}

/// A version of a schema: it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Version {
    project_id: ProjectId,
    category: String,
    name: String,
    version: u32,
}

/// The types of a project at a moment, by category and name.
pub struct InForce {
    types: HashMap<String, HashMap<String, Known>>,
}

struct Known {
    version: u32,
    on_invalid: OnInvalid,
    has_schema: bool,
    /// Compiled once it is needed.
    schema: OnceCell<Option<Arc<Schema>>>,
}

impl EventTypes {
    pub fn new(catalog: Catalog) -> Self {
        EventTypes { catalog, in_force: Arc::default(), compiled: Arc::default() }
    }

    /// To be called after every change of a type: what comes after it is judged by what is in force then. Other
    /// processes follow within a second.
    pub fn forget(&self) {
        self.in_force.forget();
    }

    /// The types that are in force.
    pub async fn in_force(&self, project_id: ProjectId) -> Result<Arc<InForce>> {
        let load = async { Ok(Some(Arc::new(InForce::from(self.catalog.types_in_force(project_id).await?)))) };
        let known = self.in_force.get_or_load(project_id, load).await?;
        Ok(known.unwrap_or_else(|| Arc::new(InForce::from(Vec::new()))))
    }

    /// Marks an event at the door with the schema in force. The inner error is what is wrong with one that is to be
    /// rejected.
    pub async fn mark(
        &self,
        in_force: &InForce,
        project_id: ProjectId,
        envelope: &mut Envelope,
    ) -> Result<Result<(), FieldErrors>> {
        let Some(known) = in_force.find(&envelope.category, &envelope.name) else { return Ok(Ok(())) };
        let rejects = known.on_invalid == OnInvalid::Reject;
        envelope.schema = Some(SchemaMark { version: known.version, checked: rejects || !known.has_schema });
        if !rejects || !known.has_schema {
            return Ok(Ok(()));
        }
        let load = || self.schema(project_id, &envelope.category, &envelope.name, known.version);
        let schema = known.schema.get_or_try_init(load).await?;
        Ok(schema.as_ref().map_or(Ok(()), |schema| schema.check(&envelope.data).or(())))
    }

    /// Marks an event that was in quarantine with the schema in force, and tells what is wrong with it by that.
    pub async fn mark_again(&self, in_force: &InForce, event: &mut Event) -> Result<FieldErrors> {
        event.schema = None;
        if let Some(known) = in_force.find(&event.category, &event.name) {
            event.schema = Some(SchemaMark { version: known.version, checked: false });
        }
        let misfits = self.judge(event).await?;
        if let Some(mark) = &mut event.schema {
            mark.checked = misfits.is_empty();
        }
        Ok(misfits)
    }

    /// What is wrong with a stored event, by the schema that it is marked with; nothing when the door has judged it.
    pub async fn judge(&self, event: &Event) -> Result<FieldErrors> {
        let Some(SchemaMark { version, checked: false }) = event.schema else { return Ok(FieldErrors::new()) };
        let schema = self.schema(event.project_id, &event.category, &event.name, version).await?;
        Ok(schema.map_or_else(FieldErrors::new, |schema| schema.check(&event.data)))
    }

    /// The compiled schema of a version; `None` when it takes any object.
    pub async fn schema(
        &self,
        project_id: ProjectId,
        category: &str,
        name: &str,
        version: u32,
    ) -> Result<Option<Arc<Schema>>> {
        let key = Version { project_id, category: category.to_owned(), name: name.to_owned(), version };
        if let Some(known) = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Some(known.clone()));
        }
        let text = self.catalog.event_schema(project_id, key.category.clone(), key.name.clone(), version).await?;
        let Some(text) = text else { return Ok(None) };
        let corrupt = |error: String| Error::Corrupt(format!("schema {version} of {category} {name}: {error}"));
        let schema = serde_json::from_str(&text).map_err(|error| corrupt(error.to_string()))?;
        let schema = compile(schema).await?.map_err(|errors| corrupt(format!("{errors:?}")))?;
        let schema = Arc::new(schema);
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() >= COMPILED_MAX {
            compiled.clear();
        }
        compiled.insert(key, schema.clone());
        Ok(Some(schema))
    }
}

/// As [`Schema::compile`], which takes its time. The inner error is what is wrong with the schema.
pub async fn compile(schema: Value) -> Result<Result<Schema, FieldErrors>> {
    let compiling = tokio::task::spawn_blocking(move || Schema::compile(&schema));
    compiling.await.map_err(|error| Error::internal("compiling a schema", error))
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
            let known = Known { version, on_invalid, has_schema, schema: OnceCell::new() };
            by_category.entry(category).or_default().insert(name, known);
        }
        InForce { types: by_category }
    }
}
