//! Adds to an event on receipt: its source, and the rank at which the image was served.

use std::net::IpAddr;

use eyeline_core::event::{Client, Source, declares_robot, network_of};
use eyeline_core::{Envelope, ProjectId};
use http::{HeaderMap, header};

use crate::api::Credential;
use crate::api::client_address::ClientAddress;
use crate::app::App;
use crate::flow::event::collect::Sender;
use crate::flow::gallery::page::receipt;
use crate::secrets::Secrets;

/// Marks the events of one request.
pub(super) struct Marks<'a> {
    secrets: &'a Secrets,
    project_id: ProjectId,
    sent_by: SentBy,
    /// The present hour, by which place receipts expire.
    hour: u32,
}

enum SentBy {
    /// A visitor's own browser, which has one source.
    Visitor(Option<Source>),
    /// A holder of a key, who may state the visitor's source with each event.
    Server,
}

impl<'a> Marks<'a> {
    pub fn new(
        app: &'a App,
        sender: Sender,
        credential: &Credential,
        client: ClientAddress,
        headers: &HeaderMap,
    ) -> Self {
        let (secrets, project_id) = (&app.secrets, sender.project_id);
        let hour = receipt::hour_of(app.clock.real_now());
        let sent_by = match credential {
            Credential::Application { .. } | Credential::User { .. } => {
                let user_agent = headers.get(header::USER_AGENT).map_or(&b""[..], |value| value.as_bytes());
                let user_agent = String::from_utf8_lossy(user_agent);
                SentBy::Visitor(client.address.map(|address| source_of(secrets, project_id, address, &user_agent)))
            }
            Credential::Key { .. } | Credential::Admin { .. } => SentBy::Server,
        };
        Marks { secrets, project_id, sent_by, hour }
    }

    /// A visitor's own `client` field is ignored, and so is a place receipt that is not valid for the gallery.
    pub fn mark(&self, envelope: &mut Envelope) {
        envelope.served = envelope
            .act
            .as_ref()
            .zip(envelope.place.take())
            .and_then(|(act, place)| receipt::unseal(self.secrets, act.gallery_id, &place, self.hour));
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

/// A hash under the server's secret, different in each project. Without the secret it reveals no address, and visitors
/// of two projects cannot be linked.
fn source_of(secrets: &Secrets, project_id: ProjectId, address: IpAddr, user_agent: &str) -> Source {
    if declares_robot(user_agent) {
        return Source::ROBOT;
    }
    let hash = |text: &str| secrets.hash("source of an event", format!("{project_id} {text}").as_bytes()) as u32;
    Source::of(hash(&network_of(address)), hash(user_agent))
}
