//! What ranking costs, by the number of images: `cargo run --release -p eyeline-core --example ranking_costs`.

use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

use eyeline_core::event::ActKind;
use eyeline_core::ranking::{
    Act, Basis, Columns, Counts, Evidence, Learnt, RankedImage, RulesInForce, Scorer, sequence,
};
use eyeline_core::{AccessClass, GalleryId, Ranking, Strategy, Timestamp};

const EVENTS: u32 = 2_000_000;
const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "images      event ns   bytes/image   order by weight ms   by interest ms   page ns, first and last"
    )?;
    for images in [1_000u32, 10_000, 100_000, 1_000_000] {
        let (mut columns, mut learnt) = (Columns::default(), Learnt::default());
        for ordinal in 0..images {
            let created_at = Timestamp::from_micros(NOW.micros() - i64::from(ordinal) * 1_000_000);
            let (counts, evidence) = (Counts::default(), Evidence::default());
            columns.set(ordinal, RankedImage { created_at, counts, evidence, shown_to: Some(AccessClass::Public) });
        }
        let started = Instant::now();
        for number in 0..EVENTS {
            act(&mut columns, &mut learnt, number, images);
        }
        let event = started.elapsed().as_nanos() as f64 / f64::from(EVENTS);
        let order = |strategy| {
            let (ranking, rules) = (Ranking { strategy, ..Ranking::default() }, RulesInForce::default());
            let gallery_id = GalleryId(uuid::Uuid::from_u128(1));
            let (columns, learnt, rules) = (&columns, &learnt, &rules);
            let started = Instant::now();
            let scorer = Scorer::new(Basis { columns, learnt, ranking, rules, gallery_id, snapshot: 1, now: NOW });
            (sequence(&scorer, AccessClass::Public), started.elapsed().as_secs_f64() * 1e3)
        };
        let (_, by_weight) = order(Strategy::Weight);
        let (sequence, by_interest) = order(Strategy::Interest);
        let page = |start: usize| {
            let started = Instant::now();
            for _ in 0..1_000 {
                black_box(
                    sequence[start..start + 20].iter().map(|ordinal| columns.counts(*ordinal).views).sum::<u64>(),
                );
            }
            started.elapsed().as_nanos() / 1_000
        };
        let bytes = columns.bytes() as f64 / f64::from(images);
        let (first, last) = (page(0), page(sequence.len() - 20));
        writeln!(
            out,
            "{images:>9}   {event:>8.0}   {bytes:>11.1}   {by_weight:>18.2}   {by_interest:>14.2}   {first} and {last}"
        )?;
    }
    Ok(())
}

/// Events hit images unevenly, as those of an order do: the first half of them a hundredth of the images.
fn act(columns: &mut Columns, learnt: &mut Learnt, number: u32, images: u32) {
    let spread = number.wrapping_mul(2_654_435_761);
    let ordinal = if number.is_multiple_of(2) { spread % (images / 100).max(1) } else { spread % images };
    let kind = if number.is_multiple_of(16) { ActKind::Click } else { ActKind::View };
    let (mut counts, mut evidence) = (columns.counts(ordinal), columns.evidence(ordinal));
    match kind {
        ActKind::View => counts.views += 1,
        ActKind::Click => counts.clicks += 1,
    }
    let created_at = columns.created_at(ordinal);
    let act =
        Act { kind, place: Some(spread % 100), age: NOW.micros() - created_at.micros(), minute: number / 10_000 + 1 };
    learnt.take_in(&mut evidence, act, Ranking::default().half_life_minutes());
    columns.set(ordinal, RankedImage { created_at, counts, evidence, shown_to: Some(AccessClass::Public) });
}
