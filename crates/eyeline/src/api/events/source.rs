//! The sources of events, which the server adds on receipt.

use std::net::IpAddr;

use eyeline_core::event::{Client, Source, declares_robot, network_of};
use eyeline_core::{Envelope, ProjectId};
use http::{HeaderMap, header};

use crate::api::Credential;
use crate::api::client_address::ClientAddress;
use crate::flow::event::collect::Sender;
use crate::secrets::Secrets;

/// Finds the sources of the events of one request.
pub(super) struct Sources<'a> {
    secrets: &'a Secrets,
    project_id: ProjectId,
    sent_by: SentBy,
}

enum SentBy {
    /// A visitor's own browser, which has one source.
    Visitor(Option<Source>),
    /// A holder of a key, who may state the visitor's source with each event.
    Server,
}

impl<'a> Sources<'a> {
    pub fn new(
        secrets: &'a Secrets,
        sender: Sender,
        credential: &Credential,
        client: ClientAddress,
        headers: &HeaderMap,
    ) -> Self {
        let project_id = sender.project_id;
        let sent_by = match credential {
            Credential::Application { .. } | Credential::User { .. } => {
                let user_agent = headers.get(header::USER_AGENT).map_or(&b""[..], |value| value.as_bytes());
                let user_agent = String::from_utf8_lossy(user_agent);
                SentBy::Visitor(client.address.map(|address| source_of(secrets, project_id, address, &user_agent)))
            }
            Credential::Key { .. } | Credential::Admin { .. } => SentBy::Server,
        };
        Sources { secrets, project_id, sent_by }
    }

    /// A visitor's own `client` field is ignored.
    pub fn mark(&self, envelope: &mut Envelope) {
        envelope.source = match (&self.sent_by, envelope.client.take()) {
            (SentBy::Visitor(source), _) => *source,
            (SentBy::Server, Some(Client { address, user_agent })) => {
                let user_agent = user_agent.unwrap_or_default();
                Some(source_of(self.secrets, self.project_id, address, &user_agent))
            }
            (SentBy::Server, None) => None,
        };
    }
}

/// A hash under the server's secret, different in each project. Without the secret it leads neither to an address nor
/// from one project's visitors to another's.
fn source_of(secrets: &Secrets, project_id: ProjectId, address: IpAddr, user_agent: &str) -> Source {
    if declares_robot(user_agent) {
        return Source::ROBOT;
    }
    let hash = |text: &str| secrets.hash("source of an event", format!("{project_id} {text}").as_bytes()) as u32;
    Source::of(hash(&network_of(address)), hash(user_agent))
}
