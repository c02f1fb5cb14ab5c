//! The past changes of a gallery's order.

use eyeline_core::ranking::rules::{Pin, Rule, Rules, RulesChange, Selector};
use eyeline_core::{GalleryId, Ranking, Strategy};
use eyeline_store::catalog::galleries::GalleryPatch;
use eyeline_store::catalog::gallery_changes::{Changed, KEPT};
use uuid::Uuid;

use crate::engines::on_every_database;
use crate::events::{GALLERY, at, catalog_with_a_gallery, rows};

fn pin(position: u32) -> Rules {
    let images = Selector::Tag("shoes".to_owned());
    Rules { pin: vec![Rule { images, does: Pin { position }, period: Default::default() }], ..Rules::default() }
}

#[tokio::test]
async fn changes_of_settings_and_rules_are_kept_in_order_and_others_are_not() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let interest = Ranking { strategy: Strategy::Interest, ..Ranking::default() };
        for (second, name, ranking) in [(1, "a", interest), (2, "b", interest), (3, "b", Ranking::default())] {
            let patch =
                GalleryPatch { name: Some(name.to_owned()), ranking: ranking.into(), ..GalleryPatch::default() };
            catalog.update_gallery(GALLERY, patch, at(second)).await.expect("a changed gallery");
        }
        for (second, rules) in [(4, Some(pin(1))), (5, Some(pin(1))), (6, Some(pin(2))), (7, None), (8, None)] {
            catalog.set_gallery_rules(GALLERY, rules, at(second)).await.expect("set rules");
        }
        let changes = catalog.past_changes(GALLERY, None, 10).await.expect("changes");
        let rules = |added, removed| Changed::Rules(RulesChange { added, removed });
        let told: Vec<_> = changes.iter().map(|change| (change.number, change.changed_at, change.what)).collect();
        let expected = [
            (5, at(7), rules(0, 1)),
            (4, at(6), rules(1, 1)),
            (3, at(4), rules(1, 0)),
            (2, at(3), Changed::Ranking { was: interest, is: Ranking::default() }),
            (1, at(1), Changed::Ranking { was: Ranking::default(), is: interest }),
        ];
        assert_eq!(told, expected);
        assert_eq!(catalog.past_changes(GALLERY, Some(4), 2).await.expect("changes"), changes[2..4]);
        let other = GalleryId(Uuid::from_u128(77));
        assert!(catalog.past_changes(other, None, 10).await.expect("changes").is_empty());

        catalog.delete_gallery(GALLERY, at(9)).await.expect("deleted");
        while catalog.clear_deleted_galleries(9).await.expect("cleared") {}
        assert!(rows(&db, "SELECT number FROM gallery_changes").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_oldest_change_makes_room_for_a_further_one() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        for number in 1..=KEPT + 3 {
            let rules = pin(u32::try_from(number).expect("a small number"));
            catalog.set_gallery_rules(GALLERY, Some(rules), at(1)).await.expect("set rules");
        }
        let numbers = async |before| {
            let changes = catalog.past_changes(GALLERY, before, 2_000).await.expect("changes");
            (changes.len() as u64, changes.last().map(|change| change.number))
        };
        assert_eq!(numbers(None).await, (KEPT, Some(4)));
        assert_eq!(numbers(Some(6)).await, (2, Some(4)));
    })
    .await;
}
