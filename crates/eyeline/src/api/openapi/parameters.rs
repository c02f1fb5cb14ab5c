//! Query parameters. The description says which ones an operation takes, so that code and description cannot differ.

use std::collections::HashMap;
use std::sync::Arc;

use eyeline_core::FieldErrors;
use http::{Method, Request, header};
use matchit::Router;
use serde_json::Value;
use url::form_urlencoded;

use super::{operations, security};
use crate::api::Problem;

const PREFIX: &str = "/api/v1/";

/// The query parameters of the operations below `/api/v1`.
pub struct Parameters {
    /// By path, then by method.
    operations: Router<HashMap<Method, Operation>>,
}

struct Operation {
    known: Arc<Known>,
    /// The same for a request without another credential. It accepts any credential in the query, so that an
    /// insufficient one gets 403.
    known_alone: Arc<Known>,
}

/// The query parameters of one operation.
pub struct Known {
    parameters: Vec<String>,
    /// Parameters that are credentials, such as `application`.
    credentials: Vec<String>,
}

impl Parameters {
    pub fn of(document: &Value) -> Self {
        let mut paths: HashMap<&str, HashMap<Method, Operation>> = HashMap::new();
        for (path, method, operation) in operations(document).filter(|(path, ..)| path.starts_with(PREFIX)) {
            if let Ok(method) = method.to_ascii_uppercase().parse() {
                paths.entry(path).or_default().insert(method, Operation::of(operation, document));
            }
        }
        let mut operations = Router::new();
        for (path, methods) in paths {
            if let Err(error) = operations.insert(path, methods) {
                tracing::error!(path, %error, "query parameters of a path are not checked");
            }
        }
        Parameters { operations }
    }

    /// Checks the query of a request for unknown parameters. [`Query`] reports them with all other errors. If the
    /// handler reads no query, they are reported here.
    ///
    /// [`Query`]: crate::api::Query
    pub fn check<B>(&self, request: &mut Request<B>) -> Result<(), Problem> {
        let uri = request.uri();
        let Some(query) = uri.query().filter(|query| !query.is_empty()) else { return Ok(()) };
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let Ok(found) = self.operations.at(uri.path().trim_end_matches('/')) else { return Ok(()) };
        let Some(operation) = found.value.get(method) else { return Ok(()) };
        let sends = |name| request.headers().contains_key(name);
        let is_alone = !sends(header::AUTHORIZATION) && !sends(header::COOKIE);
        let known = if is_alone { operation.known_alone.clone() } else { operation.known.clone() };
        if known.parameters.is_empty() {
            known.unknown(form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name)).or(())?;
        }
        request.extensions_mut().insert(known);
        Ok(())
    }
}

impl Operation {
    fn of(operation: &Value, document: &Value) -> Self {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let parameters = parameters.filter(|parameter| parameter["in"] == "query").map(name_of);
        let parameters: Vec<String> = parameters.collect();
        let schemes = &document["components"]["securitySchemes"];
        let own = security(operation, &document["security"]).flat_map(|requirement| requirement.keys());
        let own = own.map(|name| &schemes[name]);
        let all = schemes.as_object().into_iter().flat_map(|schemes| schemes.values());
        let known = Known { parameters: parameters.clone(), credentials: in_query(own) };
        let known_alone = Known { parameters, credentials: in_query(all) };
        Operation { known: Arc::new(known), known_alone: Arc::new(known_alone) }
    }
}

fn in_query<'a>(schemes: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let mut names: Vec<String> = schemes.filter(|scheme| scheme["in"] == "query").map(name_of).collect();
    names.dedup();
    names
}

fn name_of(described: &Value) -> String {
    described["name"].as_str().unwrap_or_default().to_owned()
}

impl Known {
    pub fn is_credential(&self, name: &str) -> bool {
        !self.is_parameter(name) && self.credentials.iter().any(|known| known == name)
    }

    pub fn is_parameter(&self, name: &str) -> bool {
        self.parameters.iter().any(|known| known == name)
    }

    /// An error for each of the names that the operation does not know.
    pub fn unknown(&self, names: impl Iterator<Item = impl AsRef<str>>) -> FieldErrors {
        let mut errors = FieldErrors::new();
        for name in names {
            let name = name.as_ref();
            if !self.is_parameter(name) && !self.is_credential(name) {
                errors.add(name, self.sentence());
            }
        }
        errors
    }

    pub fn sentence(&self) -> String {
        let known: Vec<&str> = self.parameters.iter().chain(&self.credentials).map(String::as_str).collect();
        if known.is_empty() {
            return "This query parameter is unknown; this address takes none.".to_owned();
        }
        format!("This query parameter is unknown; this address takes: {}.", known.join(", "))
    }
}
