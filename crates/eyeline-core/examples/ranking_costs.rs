//! What ranking costs, by the number of images; `make bench-ranking` runs it and draws what it prints.

use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

use eyeline_core::event::{ActKind, Source};
use eyeline_core::ranking::{
    Basis, Counts, Evidence, RankedImage, Reckoned, Reckoner, RulesInForce, Scorer, resequence, sequence,
};
use eyeline_core::{AccessClass, GalleryId, Ranking, Strategy, Timestamp};
use uuid::Uuid;

const EVENTS: u32 = 2_000_000;
/// Events before the ones that are timed, so that no memory is touched for the first time.
const WARM_UP: u32 = 200_000;
/// Images that change between two publications of a busy gallery.
const CHANGED: u32 = 1_000;
const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);
const PAGE: usize = 20;

fn main() -> std::io::Result<()> {
    let sizes: Vec<u32> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "| images | event ns | guarded event ns | publish weight ms | publish weight anew ms | publish interest ms | bytes an image, with an order | first page ns | last page ns |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
    for images in sizes {
        writeln!(out, "{}", row(images))?;
        out.flush()?;
    }
    Ok(())
}

fn row(images: u32) -> String {
    let event_ns = |guard| {
        let mut gallery = gallery(images);
        (0..WARM_UP).for_each(|number| act(&mut gallery, number, images, guard));
        let started = Instant::now();
        (WARM_UP..WARM_UP + EVENTS).for_each(|number| act(&mut gallery, number, images, guard));
        (started.elapsed().as_nanos() as f64 / f64::from(EVENTS), gallery)
    };
    let (guarded, _) = event_ns(true);
    let (event, mut gallery) = event_ns(false);
    let (weight, anew) = publish(&gallery, Strategy::Weight, None);
    let (interest, _) = publish(&gallery, Strategy::Interest, None);
    let changed: Vec<u32> = (0..CHANGED).map(|number| hit(number, images)).collect();
    (0..CHANGED).for_each(|number| act(&mut gallery, number, images, false));
    let (carried_on, order) = publish(&gallery, Strategy::Weight, Some((&anew, &changed)));
    let bytes = gallery.columns.bytes() + order.capacity() * size_of::<u32>();
    let page = |start: usize| {
        const TIMES: u32 = 100_000;
        let started = Instant::now();
        for _ in 0..TIMES {
            let page = black_box(&order)[start..start + PAGE].iter();
            black_box(page.map(|ordinal| gallery.columns.counts(*ordinal).views).sum::<u64>());
        }
        started.elapsed().as_nanos() / u128::from(TIMES)
    };
    let per_image = bytes as f64 / f64::from(images);
    let (first, last) = (page(0), page(order.len() - PAGE));
    format!(
        "| {images} | {event:.0} | {guarded:.0} | {carried_on:.2} | {weight:.2} | {interest:.2} | {per_image:.1} | {first} | {last} |"
    )
}

fn gallery(images: u32) -> Reckoner {
    let mut gallery = Reckoner::default();
    for ordinal in 0..images {
        let created_at = Timestamp::from_micros(NOW.micros() - i64::from(ordinal) * 1_000_000);
        let (counts, evidence) = (Counts::default(), Evidence::default());
        let shown_to = Some(AccessClass::Public);
        gallery.columns.set(ordinal, RankedImage { created_at, counts, ignored: counts, evidence, shown_to });
    }
    gallery
}

/// Milliseconds to an order, made from nothing or carried on from one before and the images that changed since.
fn publish(gallery: &Reckoner, strategy: Strategy, before: Option<(&Vec<u32>, &Vec<u32>)>) -> (f64, Vec<u32>) {
    let (ranking, rules) = (Ranking { strategy, ..Ranking::default() }, &RulesInForce::default());
    let gallery_id = GalleryId(Uuid::from_u128(1));
    let (columns, learnt) = (&gallery.columns, &gallery.learnt);
    let started = Instant::now();
    let scorer = Scorer::new(Basis { columns, learnt, ranking, rules, gallery_id, snapshot: 1, now: NOW });
    let order = match before {
        None => sequence(&scorer, AccessClass::Public),
        Some((order, changed)) => resequence(&scorer, AccessClass::Public, order, changed),
    };
    (started.elapsed().as_secs_f64() * 1e3, order)
}

/// Events hit images unevenly, as those of an order do: half of them a hundredth of the images.
fn hit(number: u32, images: u32) -> u32 {
    let spread = number.wrapping_mul(2_654_435_761);
    if number.is_multiple_of(2) { spread % (images / 100).max(1) } else { spread % images }
}

fn act(gallery: &mut Reckoner, number: u32, images: u32, guard: bool) {
    let visitor = number / 20;
    let act = Reckoned {
        image: hit(number, images),
        kind: if number.is_multiple_of(16) { ActKind::Click } else { ActKind::View },
        place: Some(number.wrapping_mul(2_654_435_761) % 100),
        session_id: Uuid::from_u128(u128::from(visitor)).into(),
        source: Some(Source::of(visitor % 50_000, 1)),
        received_at: Timestamp::from_micros(NOW.micros() + i64::from(number) * 5_000),
    };
    gallery.take_in(act, Ranking { guard, ..Ranking::default() });
}
