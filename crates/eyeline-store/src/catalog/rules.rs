//! The owner's rules over a gallery's order.

use std::collections::{BTreeSet, HashMap};

use eyeline_core::ranking::rules::{FoundRules, Rules, RulesChange, Selector};
use eyeline_core::{GalleryId, ImageId, Timestamp};
use futures::FutureExt as _;

use super::Catalog;
use super::galleries::raise_revision;
use super::gallery_changes::{self, Changed};
use crate::error::{Error, Result};
use crate::params;
use crate::sql::{Tx, Value};

impl Catalog {
    /// The gallery's rules; none if none were set. `NotFound` if the gallery does not exist.
    pub async fn gallery_rules(&self, gallery_id: GalleryId) -> Result<Rules> {
        self.db.read(move |tx| async move { read_rules(tx, gallery_id).await }.boxed()).await
    }

    /// Replaces all rules of the gallery, or deletes them.
    pub async fn set_gallery_rules(&self, gallery_id: GalleryId, rules: Option<Rules>, now: Timestamp) -> Result<()> {
        let text = rules.as_ref().map(serde_json::to_string).transpose();
        let text = text.map_err(|error| Error::internal("writing rules", error))?;
        let sql = "UPDATE galleries SET rules = $2 WHERE gallery_id = $1";
        self.db
            .write(move |tx| {
                async move {
                    raise_revision(tx, gallery_id).await?;
                    let change = rules.unwrap_or_default().change_from(&read_rules(tx, gallery_id).await?);
                    tx.execute(sql, params![gallery_id, text]).await?;
                    if change == RulesChange::default() {
                        return Ok(());
                    }
                    gallery_changes::note(tx, gallery_id, now, Changed::Rules(change)).await
                }
                .boxed()
            })
            .await
    }

    /// The gallery's rules with their images. Reads every tagged image of the gallery if a rule names tags.
    pub async fn found_rules(&self, gallery_id: GalleryId) -> Result<FoundRules> {
        self.db.read(move |tx| async move { find(tx, gallery_id).await }.boxed()).await
    }
}

async fn read_rules(tx: &mut Tx, gallery_id: GalleryId) -> Result<Rules> {
    let sql = "SELECT rules FROM galleries WHERE gallery_id = $1 AND deleted_at IS NULL";
    let row = tx.query_one(sql, params![gallery_id]).await?;
    let text: Option<String> = row.ok_or(Error::NotFound("gallery"))?.take("rules")?;
    let Some(text) = text else { return Ok(Rules::default()) };
    serde_json::from_str(&text).map_err(|error| Error::Corrupt(format!("the rules of a gallery: {error}")))
}

async fn find(tx: &mut Tx, gallery_id: GalleryId) -> Result<FoundRules> {
    let rules = read_rules(tx, gallery_id).await?;
    let mut found = FoundRules::default();
    let selectors: BTreeSet<Selector> = rules.selectors().cloned().collect();
    let (mut by_id, mut by_external_id) = (Vec::new(), Vec::new());
    for selector in &selectors {
        match selector {
            Selector::ImageId(id) => by_id.push(vec![gallery_id.into(), (*id).into()]),
            Selector::ExternalId(id) => by_external_id.push(vec![gallery_id.into(), Value::from(id.as_str())]),
            Selector::Tag(_) => {}
        }
    }
    let sql = "SELECT gi.ordinal, gi.image_id FROM (VALUES {rows}) AS v
               JOIN gallery_images gi ON gi.gallery_id = v.column1 AND gi.image_id = v.column2";
    for mut row in tx.query_rows(sql, &by_id).await? {
        let selector = Selector::ImageId(row.take::<ImageId>("image_id")?);
        found.images.entry(selector).or_default().push(row.take("ordinal")?);
    }
    let sql = "SELECT gi.ordinal, gi.external_id FROM (VALUES {rows}) AS v
               JOIN gallery_images gi ON gi.gallery_id = v.column1 AND gi.external_id = v.column2";
    for mut row in tx.query_rows(sql, &by_external_id).await? {
        let selector = Selector::ExternalId(row.take("external_id")?);
        found.images.entry(selector).or_default().push(row.take("ordinal")?);
    }
    if rules.group_cap.is_some() || selectors.iter().any(|selector| matches!(selector, Selector::Tag(_))) {
        find_tagged(tx, gallery_id, &rules, &selectors, &mut found).await?;
    }
    found.rules = rules;
    Ok(found)
}

async fn find_tagged(
    tx: &mut Tx,
    gallery_id: GalleryId,
    rules: &Rules,
    selectors: &BTreeSet<Selector>,
    found: &mut FoundRules,
) -> Result<()> {
    let sql = "SELECT gi.ordinal, i.tags FROM gallery_images gi JOIN images i ON i.image_id = gi.image_id
               WHERE gi.gallery_id = $1 AND i.tags <> '[]'
               ORDER BY gi.ordinal";
    let mut groups = HashMap::<String, u32>::new();
    for mut row in tx.query(sql, params![gallery_id]).await? {
        let (ordinal, text): (u32, String) = (row.take("ordinal")?, row.take("tags")?);
        let tags: Vec<String> =
            serde_json::from_str(&text).map_err(|error| Error::Corrupt(format!("the tags of an image: {error}")))?;
        if let Some(cap) = &rules.group_cap
            && let Some(tag) = tags.iter().find(|tag| tag.starts_with(&cap.tag_prefix))
        {
            let next = u32::try_from(groups.len()).unwrap_or(u32::MAX);
            found.groups.insert(ordinal, *groups.entry(tag.clone()).or_insert(next));
        }
        for selector in tags.into_iter().map(Selector::Tag).filter(|selector| selectors.contains(selector)) {
            let images = found.images.entry(selector).or_default();
            if images.last() != Some(&ordinal) {
                images.push(ordinal);
            }
        }
    }
    Ok(())
}
