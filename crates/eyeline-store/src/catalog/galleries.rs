//! Galleries and the images in them.
//!
//! Every change of a row of `gallery_images`, or of the image behind it, raises the gallery's revision and marks the
//! row with it: whoever ranks reads the rows changed since the revision it knows.

use eyeline_core::{GalleryId, ImageId};

use crate::error::{Error, Result};
use crate::params;
use crate::sql::{Tx, Value};

/// What a batch of events adds to one image of one gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountDelta {
    pub gallery_id: GalleryId,
    pub image_id: ImageId,
    pub views: u64,
    pub clicks: u64,
}

/// Puts an image into a gallery, behind all others in insertion order; one that was taken out comes back with its
/// counters and its old ordinal.
pub(crate) async fn add_image(
    tx: &mut Tx,
    gallery_id: GalleryId,
    image_id: ImageId,
    external_id: Option<&str>,
) -> Result<()> {
    let gallery = "UPDATE galleries SET next_ordinal = next_ordinal + 1, revision = revision + 1
                   WHERE gallery_id = $1
                   RETURNING next_ordinal - 1 AS ordinal, revision";
    let mut row = tx.query_one(gallery, params![gallery_id]).await?.ok_or(Error::NotFound("gallery"))?;
    let (ordinal, revision): (i64, i64) = (row.take("ordinal")?, row.take("revision")?);
    let image = "INSERT INTO gallery_images (gallery_id, ordinal, image_id, external_id, listed, revision)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (gallery_id, image_id)
                 DO UPDATE SET listed = excluded.listed, revision = excluded.revision";
    let external_id = external_id.map(str::to_owned);
    tx.execute(image, params![gallery_id, ordinal, image_id, external_id, true, revision]).await?;
    Ok(())
}

/// Marks the image changed in every gallery it is in.
pub(crate) async fn image_changed(tx: &mut Tx, image_id: ImageId) -> Result<()> {
    let galleries = "UPDATE galleries SET revision = revision + 1
                     WHERE gallery_id IN (SELECT gallery_id FROM gallery_images WHERE image_id = $1)";
    if tx.execute(galleries, params![image_id]).await? == 0 {
        return Ok(());
    }
    let images = "UPDATE gallery_images
                  SET revision = (SELECT g.revision FROM galleries g WHERE g.gallery_id = gallery_images.gallery_id)
                  WHERE image_id = $1";
    tx.execute(images, params![image_id]).await?;
    Ok(())
}

/// Adds to the counters; `deltas` names each (gallery, image) once and only ones that exist.
pub(crate) async fn add_counts(tx: &mut Tx, deltas: &[CountDelta]) -> Result<()> {
    let mut by_gallery = std::collections::BTreeMap::<GalleryId, u64>::new();
    for delta in deltas {
        *by_gallery.entry(delta.gallery_id).or_default() += delta.views + delta.clicks;
    }
    let galleries: Vec<Vec<Value>> =
        by_gallery.iter().map(|(id, events)| vec![(*id).into(), (*events).into()]).collect();
    let sql = "UPDATE galleries SET revision = revision + 1, applied_events = applied_events + v.column2
               FROM (VALUES {rows}) AS v
               WHERE galleries.gallery_id = v.column1";
    tx.execute_rows(sql, &galleries).await?;

    let mut deltas = deltas.to_vec();
    deltas.sort_by_key(|delta| (delta.gallery_id, delta.image_id));
    let images: Vec<Vec<Value>> = deltas
        .iter()
        .map(|delta| vec![delta.gallery_id.into(), delta.image_id.into(), delta.views.into(), delta.clicks.into()])
        .collect();
    let sql = "UPDATE gallery_images
               SET views = views + v.column3,
                   clicks = clicks + v.column4,
                   revision = (SELECT g.revision FROM galleries g WHERE g.gallery_id = v.column1)
               FROM (VALUES {rows}) AS v
               WHERE gallery_images.gallery_id = v.column1 AND gallery_images.image_id = v.column2";
    tx.execute_rows(sql, &images).await?;
    Ok(())
}
