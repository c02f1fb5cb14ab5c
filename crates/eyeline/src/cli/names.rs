//! Projects, galleries and applications by name or id, as people pass them to commands.

use http::Method;
use serde_json::{Value, json};

use super::client::Client;

/// A kind of named thing, as the API lists and creates it.
pub(super) struct Kind<'a> {
    /// The path that lists and creates it.
    pub list: &'static str,
    /// The field of the list's answer, and the word in messages.
    rows: &'static str,
    id: &'static str,
    /// The project that it belongs to.
    project_id: Option<&'a str>,
}

pub(super) const PROJECTS: Kind<'static> =
    Kind { list: "/projects", rows: "projects", id: "project_id", project_id: None };

pub(super) fn galleries_of(project_id: &str) -> Kind<'_> {
    Kind { list: "/galleries", rows: "galleries", id: "gallery_id", project_id: Some(project_id) }
}

pub(super) fn applications_of(project_id: &str) -> Kind<'_> {
    Kind { list: "/applications", rows: "applications", id: "application_id", project_id: Some(project_id) }
}

impl Kind<'_> {
    /// The id of the only one with this name or id; `None` if there is none. Fails if several have the name.
    pub(super) async fn find(&self, client: &Client, name: &str) -> Result<Option<String>, String> {
        let mut found = self.all(client, name).await?;
        match found.len() {
            0 | 1 => Ok(found.pop()),
            count => {
                Err(format!("{count} {} have the name {name}: give one's id instead ({})", self.rows, found.join(", ")))
            }
        }
    }

    /// Like [`Kind::find`], but fails if there is none.
    pub(super) async fn get(&self, client: &Client, name: &str) -> Result<String, String> {
        self.find(client, name).await?.ok_or_else(|| format!("no {} has the name or id {name}", self.singular()))
    }

    /// The ids of all with this name, or of the one with this id.
    pub(super) async fn all(&self, client: &Client, name: &str) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let owner = self.project_id.map(|id| format!("&project_id={id}")).unwrap_or_default();
            let page = client.send(Method::GET, &format!("{}?limit=100{owner}{cursor}", self.list), None).await?;
            for row in page[self.rows].as_array().into_iter().flatten() {
                let id = text(&row[self.id]);
                if id == name {
                    return Ok(vec![id]);
                }
                found.extend((row["name"] == name).then_some(id));
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(found),
            }
        }
    }

    /// Creates one with this name. Returns its id.
    pub(super) async fn create(&self, client: &Client, name: &str) -> Result<String, String> {
        let mut body = json!({"name": name});
        if let Some(project_id) = self.project_id {
            body["project_id"] = json!(project_id);
        }
        Ok(text(&client.send(Method::POST, self.list, Some(&body)).await?[self.id]))
    }

    fn singular(&self) -> &'static str {
        self.id.strip_suffix("_id").unwrap_or(self.id)
    }
}

/// A string of an answer; empty if the value is no string.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
