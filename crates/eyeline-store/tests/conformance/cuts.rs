//! Retention cuts: files are removed and bases stored in one transaction, whatever runs concurrently. Counting
//! continues from them exactly.

use eyeline_core::ranking::{Piece, PieceKind, Reckoner};
use eyeline_core::{ErasureId, Ranking, SessionId, Timestamp};
use eyeline_store::Catalog;
use eyeline_store::catalog::cuts::Cut;
use eyeline_store::catalog::erasures::Erasure;
use eyeline_store::catalog::events::BatchEvent;
use eyeline_store::catalog::galleries::GalleryPatch;
use eyeline_store::catalog::lake::{Committed, LakeFile, Marks};
use eyeline_store::inbox::Offset;
use eyeline_store::sql::Db;
use uuid::Uuid;

use crate::engines::on_every_database;
use crate::events::{FIRST_FENCE, GALLERY, PROJECT, at, batch, catalog_with_a_gallery, offset, rows};
use crate::guard::{acts, assert_ranks_as, reckon, reckoned};
use crate::lake::{commit, file, flush, note};

/// The acts of the first file, and those of the second.
const FIRST: i64 = 400;
const ALL: i64 = 600;

fn guarded() -> Ranking {
    Ranking { guard: true, ..Ranking::default() }
}

/// A guarded gallery whose acts are applied and in two files.
async fn counted(db: &Db) -> (Catalog, Vec<BatchEvent>, [LakeFile; 2]) {
    let catalog = catalog_with_a_gallery(db).await;
    let patch = GalleryPatch { ranking: guarded().into(), ..GalleryPatch::default() };
    catalog.update_gallery(GALLERY, patch, at(0)).await.expect("a changed gallery");
    let acts = acts();
    catalog.apply_events(batch(0, ALL, acts.clone())).await.expect("applied");
    let files = [file(2, 1, FIRST), file(2, FIRST + 1, ALL)];
    assert_eq!(commit(&catalog, flush(0, ALL, files.to_vec())).await.expect("an answer"), Committed::Done);
    (catalog, acts, files)
}

fn cut(inputs: &[&LakeFile], outputs: &[LakeFile]) -> Cut {
    Cut {
        partition: 0,
        fence: FIRST_FENCE,
        after: Offset::START,
        cut: offset(FIRST),
        complete_from: at(77),
        galleries: vec![GALLERY],
        inputs: inputs.iter().map(|file| file.key.clone()).collect(),
        outputs: outputs.to_vec(),
        unwanted_from: at(0),
    }
}

async fn store(catalog: &Catalog, fence: i64, of: i64, reckoner: &Reckoner) -> Committed {
    let mut outcome = Committed::Done;
    let pieces: Vec<Piece> = reckoner.pieces().collect();
    for some in pieces.chunks(7) {
        outcome = catalog.store_base(0, fence, offset(of), GALLERY, some.to_vec()).await.expect("an answer");
    }
    outcome
}

/// The base in force, read in small pieces.
async fn base(catalog: &Catalog) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    loop {
        let last = pieces.last().map(|piece| (piece.kind, piece.key.clone()));
        let more = catalog.base_pieces(GALLERY, last, 3).await.expect("pieces");
        if more.is_empty() {
            return pieces;
        }
        pieces.extend(more);
    }
}

fn sorted(reckoner: &Reckoner) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = reckoner.pieces().collect();
    pieces.sort();
    pieces
}

fn first_of(acts: &[BatchEvent]) -> Reckoner {
    reckoned(&acts[..FIRST as usize], |_| guarded())
}

#[tokio::test]
async fn counting_goes_on_from_a_stored_base_as_if_nothing_had_gone() {
    on_every_database(async |db| {
        let (catalog, acts, [first, second]) = counted(&db).await;
        assert_eq!(base(&catalog).await, [], "a gallery has no base at first");
        let of_first = first_of(&acts);
        assert_eq!(store(&catalog, FIRST_FENCE, FIRST, &of_first).await, Committed::Done);
        assert_eq!(base(&catalog).await, [], "until the cut is made");
        assert_eq!(catalog.commit_cut(cut(&[&first], &[])).await.expect("an answer"), Committed::Done);

        let manifest = catalog.manifest().await.expect("a manifest");
        assert_eq!(manifest.files, [second]);
        let (applied, cut) = (offset(ALL), offset(FIRST));
        let complete_from = Some(at(77));
        let marks = Marks { partition: 0, applied, flushed: applied, cut, complete_from, waiting: 0 };
        assert_eq!(manifest.partitions, [marks]);
        assert_eq!(catalog.unwanted_objects(9).await.expect("keys"), [first.key]);
        let stored = base(&catalog).await;
        assert_eq!(stored, sorted(&of_first));
        assert!(stored.iter().filter(|piece| piece.kind == PieceKind::Session).count() > 20);

        let mut again = Reckoner::default();
        stored.iter().for_each(|piece| again.put_back(piece).expect("a piece of today"));
        reckon(&mut again, &acts[FIRST as usize..], |_| guarded());
        assert_ranks_as(&catalog, &again).await;
        assert_eq!(sorted(&again), sorted(&reckoned(&acts, |_| guarded())));
    })
    .await;
}

#[tokio::test]
async fn a_cut_that_somebody_was_before_changes_nothing() {
    on_every_database(async |db| {
        let (catalog, acts, [first, second]) = counted(&db).await;
        store(&catalog, FIRST_FENCE, FIRST, &first_of(&acts)).await;
        let before = catalog.manifest().await.expect("a manifest");
        let gone = file(2, 1, FIRST);
        let sound = cut(&[&first], &[]);
        let refused = [
            Cut { fence: FIRST_FENCE + 1, ..sound.clone() },
            Cut { after: offset(7), ..sound.clone() },
            Cut { cut: offset(ALL + 1), ..sound.clone() },
            Cut { inputs: vec![first.key.clone(), gone.key], ..sound.clone() },
        ];
        for other in refused {
            assert_eq!(catalog.commit_cut(other.clone()).await.expect("an answer"), Committed::Moved, "{other:?}");
        }
        // A file without a note may already be deleted.
        catalog.commit_cut(cut(&[&first], &[file(2, 5, 6)])).await.expect_err("a file of nobody's");
        assert_eq!(catalog.manifest().await.expect("a manifest"), before);
        assert_eq!(base(&catalog).await, []);
        assert_eq!(store(&catalog, FIRST_FENCE + 1, FIRST, &first_of(&acts)).await, Committed::Moved);

        // Events after the cut in the same file move to another file.
        let rest = file(2, FIRST + 1, FIRST + 2);
        note(&catalog, std::slice::from_ref(&rest)).await;
        assert_eq!(
            catalog.commit_cut(cut(&[&first], std::slice::from_ref(&rest))).await.expect("made"),
            Committed::Done
        );
        let files = catalog.manifest().await.expect("a manifest").files;
        assert!(files.len() == 2 && files.contains(&rest) && files.contains(&second));
    })
    .await;
}

#[tokio::test]
async fn a_newer_base_takes_the_place_of_the_old_one_and_what_is_left_of_others_goes() {
    on_every_database(async |db| {
        let (catalog, acts, [first, second]) = counted(&db).await;
        store(&catalog, FIRST_FENCE, FIRST - 1, &reckoned(&acts[..99], |_| guarded())).await;
        store(&catalog, FIRST_FENCE, FIRST, &first_of(&acts)).await;
        catalog.commit_cut(cut(&[&first], &[])).await.expect("made");
        let all = reckoned(&acts, |_| guarded());
        store(&catalog, FIRST_FENCE, ALL, &all).await;
        let next = Cut { after: offset(FIRST), cut: offset(ALL), ..cut(&[&second], &[]) };
        assert_eq!(catalog.commit_cut(next).await.expect("an answer"), Committed::Done);
        assert_eq!(base(&catalog).await, sorted(&all));

        let held = async || rows(&db, "SELECT cut FROM base_pieces").await.len();
        assert!(held().await > sorted(&all).len());
        let clear = async |fence: i64| catalog.clear_replaced_base(0, fence, GALLERY, 10).await.expect("cleared");
        assert!(!clear(FIRST_FENCE + 1).await, "it is for the owner of the partition");
        while clear(FIRST_FENCE).await {}
        assert_eq!(held().await, sorted(&all).len());
        assert_eq!(base(&catalog).await, sorted(&all));
    })
    .await;
}

#[tokio::test]
async fn events_behind_a_cut_are_known_to_be_counted_under_the_settings_of_their_time() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let half_life = |hours: u32| Ranking { half_life_s: Some(hours * 3_600), ..Ranking::default() };
        for (hours, after, reached) in [(1, 0, 200), (2, 200, 400), (3, 400, 500), (4, 500, 600)] {
            let patch = GalleryPatch { ranking: half_life(hours).into(), ..GalleryPatch::default() };
            catalog.update_gallery(GALLERY, patch, at(0)).await.expect("a changed gallery");
            catalog.apply_events(batch(after, reached, Vec::new())).await.expect("applied");
        }
        let first = file(2, 1, 400);
        commit(&catalog, flush(0, 600, vec![first.clone(), file(2, 401, 600)])).await.expect("flushed");
        let before = catalog.ranking_history(GALLERY, 0).await.expect("a history");
        assert_eq!(before.changes.len(), 3);
        catalog.commit_cut(Cut { galleries: Vec::new(), ..cut(&[&first], &[]) }).await.expect("made");
        let history = catalog.ranking_history(GALLERY, 0).await.expect("a history");
        assert_eq!(history.changes.len(), 1);
        for offset in [401, 450, 500, 501, 600].map(offset) {
            assert_eq!(history.at(offset), before.at(offset), "{offset}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_base_lets_an_erased_session_go_and_goes_with_its_gallery() {
    on_every_database(async |db| {
        let (catalog, acts, [first, _]) = counted(&db).await;
        store(&catalog, FIRST_FENCE, FIRST, &first_of(&acts)).await;
        catalog.commit_cut(cut(&[&first], &[])).await.expect("made");
        let sessions = async || {
            let of_sessions = base(&catalog).await.into_iter().filter(|piece| piece.kind == PieceKind::Session);
            of_sessions.map(|piece| piece.key).collect::<Vec<_>>()
        };
        let before = sessions().await;
        let session_id = SessionId(Uuid::from_slice(&before[3]).expect("an id"));
        let erasure_id = ErasureId(Uuid::from_u128(9));
        let erasure = Erasure {
            erasure_id,
            project_id: PROJECT,
            session_id: Some(session_id),
            requested_at: Timestamp::from_micros(i64::MAX),
            finished_at: None,
            events: 0,
        };
        catalog.request_erasure(erasure, None).await.expect("requested");
        catalog.finish_erasure(erasure_id, at(1)).await.expect("finished");
        let expected: Vec<Vec<u8>> = before.into_iter().filter(|key| *key != PieceKind::key_of(session_id)).collect();
        assert_eq!(sessions().await, expected);

        catalog.delete_gallery(GALLERY, at(9)).await.expect("deleted");
        while catalog.clear_deleted_galleries(5).await.expect("cleared") {}
        assert!(rows(&db, "SELECT cut FROM base_pieces").await.is_empty());
        // Nothing is stored for a deleted gallery.
        assert_eq!(store(&catalog, FIRST_FENCE, ALL, &first_of(&acts)).await, Committed::Done);
        assert!(rows(&db, "SELECT cut FROM base_pieces").await.is_empty());
    })
    .await;
}
