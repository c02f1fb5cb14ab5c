//! The settings of public pages, each of which shows a gallery to everybody.

use eyeline_core::ApplicationId;

use super::applications::{self, Application};
use crate::error::Result;
use crate::params;
use crate::sql::Tx;

/// A gallery's public page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublicPage {
    pub enabled: bool,
    /// True if search engines may list it.
    pub indexed: bool,
    /// The application that sends its visitors' events. `None` before the page is first enabled, and after that
    /// application was deleted.
    pub application_id: Option<ApplicationId>,
}

/// Changes of a public page; `None` keeps a value.
#[derive(Clone, Debug, Default)]
pub struct PublicPagePatch {
    pub enabled: Option<bool>,
    pub indexed: Option<bool>,
    /// Stored as the page's application, unless the page has one.
    pub application: Option<Application>,
}

impl PublicPagePatch {
    /// Returns the changed page. The caller stores it.
    pub(super) async fn apply(self, tx: &mut Tx, mut page: PublicPage) -> Result<PublicPage> {
        page.enabled = self.enabled.unwrap_or(page.enabled);
        page.indexed = self.indexed.unwrap_or(page.indexed);
        if let (None, Some(application)) = (page.application_id, self.application) {
            applications::insert(tx, &application).await?;
            page.application_id = Some(application.application_id);
        }
        Ok(page)
    }
}

/// Removes the application from the page for which it sends events.
pub(super) async fn application_deleted(tx: &mut Tx, application_id: ApplicationId) -> Result<()> {
    let sql = "UPDATE galleries
               SET page_application_id = NULL, revision = revision + 1, item_revision = revision + 1
               WHERE page_application_id = $1";
    tx.execute(sql, params![application_id]).await.map(drop)
}
