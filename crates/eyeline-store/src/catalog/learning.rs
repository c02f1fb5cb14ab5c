//! Stores what counted acts teach ranking: the evidence of each image and the gallery's learnt state, in the
//! transaction that counts them. Also stores the rank of each act's place receipt, so that a recount learns the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use eyeline_core::event::{ActKind, GalleryAct, ImageRef, Served, Source};
use eyeline_core::ranking::{Act, Counts, Deed, Evidence, Learnt, Taught, Undone, Verdict};
use eyeline_core::{Event, GalleryId, ImageId, Ranking, SessionId, Timestamp};
use futures::FutureExt as _;

use super::experiments::HoldoutDeltas;
use super::guard::Guarded;
use super::{Catalog, distinct};
use crate::error::{Error, Result};
use crate::inbox::{Offset, Span};
use crate::params;
use crate::sql::{Row, Tx, Value};

/// A counted view or click.
#[derive(Clone, Debug)]
pub(super) struct CountedAct {
    pub offset: Offset,
    pub gallery_id: GalleryId,
    pub image_id: ImageId,
    pub kind: ActKind,
    pub served: Option<Served>,
    pub received_at: Timestamp,
    pub session_id: SessionId,
    pub visitor_id: Option<String>,
    pub source: Option<Source>,
}

impl CountedAct {
    pub(super) fn new(offset: Offset, event: &Event, act: &GalleryAct, image_id: ImageId) -> Self {
        let (kind, gallery_id) = (act.kind, act.gallery_id);
        let Event { received_at, session_id, source, served, .. } = *event;
        let visitor_id = event.visitor_id.clone();
        CountedAct { offset, gallery_id, image_id, kind, served, received_at, session_id, visitor_id, source }
    }

    /// The rank at which a page had served the image; `None` without a receipt for it.
    fn place(&self, ordinal: u32) -> Option<u32> {
        self.served?.rank_of(ordinal)
    }

    /// The act as a guard sees it.
    fn deed(&self, image: u32) -> Deed {
        let CountedAct { session_id, source, kind, .. } = *self;
        Deed { session_id, source, image, kind, minute: self.received_at.minute() }
    }
}

struct Known {
    ordinal: u32,
    created_at: Timestamp,
    evidence: Evidence,
    /// The counts that the guard ignores in addition to earlier ones.
    ignored: Counts,
}

/// The state of a gallery during a batch.
struct Taken {
    ranking: Ranking,
    learnt: Learnt,
    guarded: Option<Guarded>,
}

/// The images of a batch.
type Images = HashMap<(GalleryId, ImageId), Known>;

impl Catalog {
    /// All galleries that are not deleted.
    pub async fn gallery_ids(&self) -> Result<Vec<GalleryId>> {
        let sql = "SELECT gallery_id FROM galleries WHERE deleted_at IS NULL ORDER BY gallery_id";
        self.db
            .read(move |tx| {
                async move {
                    let rows = tx.query(sql, &[]).await?;
                    rows.into_iter().map(|mut row| row.take("gallery_id")).collect()
                }
                .boxed()
            })
            .await
    }

    /// Both names of every image of the gallery, with its ordinal.
    pub async fn gallery_names(&self, gallery_id: GalleryId) -> Result<Vec<(ImageRef, u32)>> {
        let sql = "SELECT ordinal, image_id, external_id FROM gallery_images WHERE gallery_id = $1";
        self.db
            .read(move |tx| {
                async move {
                    let mut names = Vec::new();
                    for mut row in tx.query(sql, params![gallery_id]).await? {
                        let ordinal: u32 = row.take("ordinal")?;
                        names.push((ImageRef::Id(row.take("image_id")?), ordinal));
                        let external_id: Option<String> = row.take("external_id")?;
                        names.extend(external_id.map(|external_id| (ImageRef::External(external_id), ordinal)));
                    }
                    Ok(names)
                }
                .boxed()
            })
            .await
    }

    /// The places at which the server had served the images of the span's events, by offset; also some of events around
    /// it. Kept only until the events are flushed.
    pub async fn served_places(&self, partition: u32, span: Span) -> Result<HashMap<Offset, u32>> {
        let sql = "SELECT first_offset, places FROM served_places
                   WHERE partition = $1 AND last_offset > $2 AND first_offset <= $3";
        self.db
            .read(move |tx| {
                async move {
                    let mut served = HashMap::new();
                    for mut row in tx.query(sql, params![partition, span.after, span.up_to]).await? {
                        let (mut number, bytes): (i64, Vec<u8>) = (row.take("first_offset")?, row.take("places")?);
                        let mut rest = bytes.as_slice();
                        while let Some(distance) = take_number(&mut rest) {
                            let place = take_number(&mut rest).and_then(|place| u32::try_from(place).ok());
                            let corrupt = || Error::Corrupt("places that were served cannot be read".to_owned());
                            number = number.saturating_add_unsigned(distance);
                            served.insert(Offset::from_number(number), place.ok_or_else(corrupt)?);
                        }
                    }
                    Ok(served)
                }
                .boxed()
            })
            .await
    }
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Learns from the acts of a batch, in the order of offsets. The caller holds the rows of the galleries.
pub(super) async fn learn(tx: &mut Tx, partition: u32, acts: &[CountedAct]) -> Result<()> {
    let mut images = read_images(tx, acts).await?;
    let mut galleries = read_galleries(tx, acts).await?;
    let mut holdouts = HoldoutDeltas::default();
    let mut places = Vec::new();
    for act in acts {
        // Neither can be missing: this transaction found and locked the rows.
        let Some(gallery) = galleries.get_mut(&act.gallery_id) else { continue };
        let Some(known) = images.get_mut(&(act.gallery_id, act.image_id)) else { continue };
        places.extend(act.place(known.ordinal).map(|place| (act.offset, place)));
        let Some(guarded) = &mut gallery.guarded else {
            teach(act, known, gallery.ranking, &mut gallery.learnt);
            holdouts.add(act.gallery_id, gallery.ranking, act.session_id, act.visitor_id.as_deref(), act.kind);
            continue;
        };
        let deed = act.deed(known.ordinal);
        let (verdict, undone) = guarded.judge(tx, &deed).await?;
        if verdict == Verdict::Counts {
            let taught = teach(act, known, gallery.ranking, &mut gallery.learnt);
            guarded.guard().note(&deed, taught);
            holdouts.add(act.gallery_id, gallery.ranking, act.session_id, act.visitor_id.as_deref(), act.kind);
        } else {
            known.ignored.add(act.kind);
        }
        for undone in &undone {
            holdouts.leave_out(act.gallery_id, gallery.ranking, undone.session_id);
        }
        take_back(tx, act.gallery_id, gallery, undone, &mut images).await?;
    }
    write_images(tx, images).await?;
    let mut rows: Vec<Vec<Value>> = Vec::with_capacity(galleries.len());
    for (gallery_id, Taken { learnt, guarded, .. }) in galleries {
        rows.push(vec![gallery_id.into(), learnt.to_bytes().into()]);
        if let Some(guarded) = guarded {
            guarded.write(tx).await?;
        }
    }
    let sql = "UPDATE galleries SET learnt = v.column2 FROM (VALUES {rows}) AS v
               WHERE galleries.gallery_id = v.column1";
    tx.execute_rows(sql, &rows).await?;
    holdouts.write(tx).await?;
    note_places(tx, partition, &places).await
}

fn teach(act: &CountedAct, known: &mut Known, ranking: Ranking, learnt: &mut Learnt) -> Taught {
    let age = act.received_at.micros().saturating_sub(known.created_at.micros());
    let act = Act { kind: act.kind, place: act.place(known.ordinal), age, minute: act.received_at.minute() };
    learnt.take_in(&mut known.evidence, act, ranking.half_life_minutes())
}

/// Takes back what acts taught that no longer count.
async fn take_back(
    tx: &mut Tx,
    gallery_id: GalleryId,
    gallery: &mut Taken,
    undone: Vec<Undone>,
    images: &mut Images,
) -> Result<()> {
    let ordinals: BTreeSet<u32> = undone.iter().map(|undone| undone.image).collect();
    let rows: Vec<Vec<Value>> = ordinals.into_iter().map(|ordinal| vec![gallery_id.into(), ordinal.into()]).collect();
    let sql = "SELECT gi.gallery_id, gi.ordinal, gi.image_id, gi.evidence, i.created_at
               FROM (VALUES {rows}) AS v
               JOIN gallery_images gi ON gi.gallery_id = v.column1 AND gi.ordinal = v.column2
               LEFT JOIN images i ON i.image_id = gi.image_id";
    let mut ids = HashMap::new();
    for row in tx.query_rows(sql, &rows).await? {
        let (id, known) = read_image(row)?;
        ids.insert(known.ordinal, id);
        // An image of the batch is in memory, and newer there.
        images.entry(id).or_insert(known);
    }
    for Undone { image, kind, taught, .. } in undone {
        let Some(known) = ids.get(&image).and_then(|id| images.get_mut(id)) else { continue };
        gallery.learnt.take_back(&mut known.evidence, kind, taught, gallery.ranking.half_life_minutes());
        known.ignored.add(kind);
    }
    Ok(())
}

async fn write_images(tx: &mut Tx, images: Images) -> Result<()> {
    let (mut evidence, mut ignored) = (Vec::<Vec<Value>>::new(), Vec::<Vec<Value>>::new());
    let mut ignored_events = BTreeMap::<GalleryId, u64>::new();
    for ((gallery_id, image_id), known) in images {
        evidence.push(params![gallery_id, image_id, known.evidence.to_bytes().to_vec()].to_vec());
        let Counts { views, clicks } = known.ignored;
        if views + clicks > 0 {
            ignored.push(params![gallery_id, image_id, views, clicks].to_vec());
            *ignored_events.entry(gallery_id).or_default() += views + clicks;
        }
    }
    let sql = "UPDATE gallery_images SET evidence = v.column3 FROM (VALUES {rows}) AS v
               WHERE gallery_images.gallery_id = v.column1 AND gallery_images.image_id = v.column2";
    tx.execute_rows(sql, &evidence).await?;
    // The image may belong to an earlier batch, so its revision changes only now.
    let sql = "UPDATE gallery_images
               SET ignored_views = ignored_views + v.column3, ignored_clicks = ignored_clicks + v.column4,
                   revision = (SELECT g.revision FROM galleries g WHERE g.gallery_id = v.column1)
               FROM (VALUES {rows}) AS v
               WHERE gallery_images.gallery_id = v.column1 AND gallery_images.image_id = v.column2";
    tx.execute_rows(sql, &ignored).await?;
    let rows: Vec<Vec<Value>> = ignored_events.into_iter().map(|(id, events)| vec![id.into(), events.into()]).collect();
    let sql = "UPDATE galleries SET ignored_events = ignored_events + v.column2 FROM (VALUES {rows}) AS v
               WHERE galleries.gallery_id = v.column1";
    tx.execute_rows(sql, &rows).await.map(drop)
}

async fn read_images(tx: &mut Tx, acts: &[CountedAct]) -> Result<Images> {
    let named = distinct(acts.iter().map(|act| (act.gallery_id, act.image_id)));
    let rows: Vec<Vec<Value>> = named.into_iter().map(|(gallery, image)| vec![gallery.into(), image.into()]).collect();
    let sql = "SELECT gi.gallery_id, gi.ordinal, gi.image_id, gi.evidence, i.created_at
               FROM (VALUES {rows}) AS v
               JOIN gallery_images gi ON gi.gallery_id = v.column1 AND gi.image_id = v.column2
               LEFT JOIN images i ON i.image_id = gi.image_id";
    tx.query_rows(sql, &rows).await?.into_iter().map(read_image).collect()
}

fn read_image(mut row: Row) -> Result<((GalleryId, ImageId), Known)> {
    let known = Known {
        ordinal: row.take("ordinal")?,
        created_at: row.take::<Option<Timestamp>>("created_at")?.unwrap_or_default(),
        evidence: read_evidence(&mut row)?,
        ignored: Counts::default(),
    };
    Ok(((row.take("gallery_id")?, row.take("image_id")?), known))
}

async fn read_galleries(tx: &mut Tx, acts: &[CountedAct]) -> Result<HashMap<GalleryId, Taken>> {
    let named = distinct(acts.iter().map(|act| act.gallery_id));
    let rows: Vec<Vec<Value>> = named.into_iter().map(|gallery_id| vec![gallery_id.into()]).collect();
    let sql = "SELECT g.gallery_id, g.ranking, g.learnt, g.guard_minute FROM galleries g
               JOIN (VALUES {rows}) AS v ON g.gallery_id = v.column1";
    let mut galleries = HashMap::new();
    for mut row in tx.query_rows(sql, &rows).await? {
        let (gallery_id, ranking) = (row.take("gallery_id")?, super::galleries::read_ranking(&mut row)?);
        let mut guarded = None;
        if ranking.guard {
            let own = || acts.iter().filter(|act| act.gallery_id == gallery_id);
            let sources = own().filter_map(|act| act.source).filter(|source| !source.is_robot());
            let sources = sources.flat_map(|source| [source, source.network()]).collect();
            let sessions = own().map(|act| act.session_id).collect();
            guarded = Some(Guarded::read(tx, gallery_id, row.take("guard_minute")?, sources, sessions).await?);
        }
        galleries.insert(gallery_id, Taken { ranking, learnt: read_learnt(&mut row)?, guarded });
    }
    Ok(galleries)
}

/// Reads column `evidence`.
pub(super) fn read_evidence(row: &mut Row) -> Result<Evidence> {
    let Some(bytes) = row.take::<Option<Vec<u8>>>("evidence")? else { return Ok(Evidence::default()) };
    Evidence::from_bytes(&bytes).ok_or_else(|| Error::Corrupt("the evidence of an image cannot be read".to_owned()))
}

/// Reads column `learnt`.
pub(super) fn read_learnt(row: &mut Row) -> Result<Learnt> {
    let Some(bytes) = row.take::<Option<Vec<u8>>>("learnt")? else { return Ok(Learnt::default()) };
    Learnt::from_bytes(&bytes).ok_or_else(|| Error::Corrupt("what a gallery has learnt cannot be read".to_owned()))
}

/// Stores one row for each batch: for each act with a known place, the difference of its offset's number from the one
/// before, and its place, as LEB128.
async fn note_places(tx: &mut Tx, partition: u32, served: &[(Offset, u32)]) -> Result<()> {
    let (Some((first, _)), Some((last, _))) = (served.first(), served.last()) else { return Ok(()) };
    let (mut places, mut before) = (Vec::new(), first.number());
    for (offset, place) in served {
        push_number(&mut places, offset.number().abs_diff(before));
        push_number(&mut places, u64::from(*place));
        before = offset.number();
    }
    let sql = "INSERT INTO served_places (partition, first_offset, last_offset, places) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, params![partition, *first, *last, places]).await.map(drop)
}

fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
