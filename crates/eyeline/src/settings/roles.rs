//! The roles of a process: what it does beside other processes of the installation.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Answers requests
    Api,
    /// Makes versions of photos, sweeps and clears
    Worker,
    /// Counts events, ranks galleries, keeps the files of events
    Ingest,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Api, Role::Worker, Role::Ingest];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Api => "api",
            Role::Worker => "worker",
            Role::Ingest => "ingest",
        }
    }
}

/// At least one role, each once. Written as a list with commas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Roles(Vec<Role>);

impl Roles {
    pub fn of(roles: &[Role]) -> Self {
        Roles(Role::ALL.into_iter().filter(|role| roles.contains(role)).collect())
    }

    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    pub fn are_all(&self) -> bool {
        self.0 == Role::ALL
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|role| role.as_str()).collect()
    }
}

impl Default for Roles {
    fn default() -> Self {
        Roles::of(&Role::ALL)
    }
}

impl std::fmt::Display for Roles {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.names().join(","))
    }
}

impl TryFrom<String> for Roles {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = || Role::ALL.map(Role::as_str).join(", ");
        let parse = |text: &str| {
            let role = Role::ALL.into_iter().find(|role| role.as_str() == text);
            role.ok_or_else(|| format!("{text} is no role: those are {}", known()))
        };
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let roles: Vec<Role> = names.map(parse).collect::<Result<_, _>>()?;
        if roles.is_empty() {
            return Err(format!("a process has at least one of the roles {}", known()));
        }
        Ok(Roles::of(&roles))
    }
}

impl From<Roles> for String {
    fn from(roles: Roles) -> Self {
        roles.to_string()
    }
}
