//! News numbered without gaps, and the tickets that open streams of them.

use std::time::Duration;

use eyeline_core::{ImageId, ImageState, ProjectId, Tier, Timestamp, Visibility};
use eyeline_store::catalog::idempotency::Once;
use eyeline_store::catalog::news::{IMAGE_STATE, News};
use eyeline_store::catalog::projects::Project;
use eyeline_store::catalog::uploads::NewImage;
use eyeline_store::{Catalog, Error, ObjectKey};
use uuid::Uuid;

use crate::engines::on_every_engine;

pub const PROJECT: ProjectId = ProjectId(Uuid::from_u128(1));
pub const OTHER_PROJECT: ProjectId = ProjectId(Uuid::from_u128(2));

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

pub fn new_image(number: u128) -> NewImage {
    NewImage {
        image_id: ImageId(Uuid::from_u128(1_000 + number)),
        filename: "photo.jpg".to_owned(),
        stated_bytes: None,
        stated_sha256: None,
        stated_type: None,
        incoming_key: ObjectKey::incoming(),
        in_parts: None,
        link_expires_at: at(1_000_000),
        gallery_id: None,
        visibility: Visibility::Public,
        access_tier: Tier::Free,
        link: None,
        tags: vec![],
        metadata: "{}".to_owned(),
    }
}

pub async fn with_projects(catalog: &Catalog) {
    for project_id in [PROJECT, OTHER_PROJECT] {
        let project = Project { project_id, name: "p".to_owned(), tier: Tier::Business, created_at: at(0) };
        catalog.create_project(project, None).await.expect("a project");
    }
}

/// A change that adds news. Returns its number.
async fn make_news(catalog: &Catalog, project_id: ProjectId, number: u128, now: Timestamp) -> u64 {
    let made = catalog.create_images(project_id, vec![new_image(number)], None, now, None).await;
    let Once::Done((_, hints)) = made.expect("an image") else { panic!("a repetition without a key") };
    assert_eq!(hints.news.len(), 1, "{hints:?}");
    assert_eq!(hints.news[0].0, project_id);
    hints.news[0].1
}

fn seqs(news: &[News]) -> Vec<u64> {
    news.iter().map(|news| news.seq).collect()
}

#[tokio::test]
async fn a_reader_that_follows_many_writers_misses_no_number() {
    const WRITERS: u128 = 8;
    const CHANGES: u128 = 25;
    const ALL: u64 = 200;
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        let writers = (0..WRITERS).map(|writer| {
            let catalog = catalog.clone();
            async move {
                for change in 0..CHANGES {
                    make_news(&catalog, PROJECT, writer * CHANGES + change, at(1)).await;
                }
            }
        });
        let reader = async {
            let mut heard: Vec<News> = Vec::new();
            while heard.len() < ALL as usize {
                let after = heard.last().map_or(0, |last| last.seq);
                let page = catalog.news(PROJECT, after, 7).await.expect("news");
                assert!(!page.gap, "after {after} of {}", page.newest);
                assert!(page.news.len() <= 7);
                heard.extend(page.news);
            }
            heard
        };
        let (heard, _) = tokio::join!(reader, futures::future::join_all(writers));
        assert_eq!(seqs(&heard), (1..=ALL).collect::<Vec<u64>>());
        let mut images: Vec<ImageId> = heard.iter().filter_map(|news| news.image_id).collect();
        images.sort();
        images.dedup();
        assert_eq!(images.len(), ALL as usize, "each change is told once");
        assert_eq!(catalog.newest_news(PROJECT).await.expect("the newest"), ALL);
    })
    .await;
}

#[tokio::test]
async fn news_says_what_happened_and_stays_within_its_project() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        assert_eq!(make_news(&catalog, PROJECT, 1, at(5)).await, 1);
        assert_eq!(make_news(&catalog, OTHER_PROJECT, 2, at(6)).await, 1, "each project has numbers of its own");
        let page = catalog.news(PROJECT, 0, 10).await.expect("news");
        let expected = News {
            seq: 1,
            at: at(5),
            kind: IMAGE_STATE.to_owned(),
            image_id: Some(new_image(1).image_id),
            state: Some(ImageState::Init),
        };
        assert_eq!((page.newest, page.gap, page.news), (1, false, vec![expected]));
        let unknown = ProjectId(Uuid::from_u128(9));
        assert!(matches!(catalog.news(unknown, 0, 10).await, Err(Error::NotFound(_))));
        assert!(matches!(catalog.newest_news(unknown).await, Err(Error::NotFound(_))));
    })
    .await;
}

#[tokio::test]
async fn a_change_that_is_undone_uses_up_no_number() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        make_news(&catalog, PROJECT, 1, at(1)).await;
        let twice = catalog.create_images(PROJECT, vec![new_image(1)], None, at(2), None).await;
        assert!(twice.is_err(), "the id is taken");
        assert_eq!(make_news(&catalog, PROJECT, 2, at(3)).await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_asks_for_what_is_forgotten_or_yet_to_come_is_told_of_the_gap() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        for number in 1..=5 {
            make_news(&catalog, PROJECT, number, at(i64::try_from(number).expect("small"))).await;
        }
        let gap = async |after| {
            let page = catalog.news(PROJECT, after, 10).await.expect("news");
            assert_eq!(page.newest, 5);
            page.gap
        };
        assert!(gap(6).await, "there is no number 6 yet");
        assert!(!gap(5).await, "nothing is missing after the newest");

        assert_eq!(catalog.forget_news(at(4), 2).await.expect("forgotten"), 2, "no more than asked for at once");
        assert_eq!(catalog.forget_news(at(4), 2).await.expect("forgotten"), 1);
        assert_eq!(catalog.forget_news(at(4), 2).await.expect("forgotten"), 0);
        assert!(gap(2).await);
        assert!(!gap(3).await);
        assert_eq!(seqs(&catalog.news(PROJECT, 3, 10).await.expect("news").news), [4, 5]);

        catalog.forget_news(at(100), 10).await.expect("forgotten");
        assert!(gap(4).await);
        assert!(!gap(5).await);
    })
    .await;
}

#[tokio::test]
async fn a_gap_within_a_reading_is_told_too() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        // A clock that was set back: the second one is the oldest.
        for (number, second) in [(1, 10), (2, 1), (3, 11)] {
            make_news(&catalog, PROJECT, number, at(second)).await;
        }
        catalog.forget_news(at(5), 10).await.expect("forgotten");
        assert!(catalog.news(PROJECT, 0, 10).await.expect("news").gap);
        assert!(!catalog.news(PROJECT, 0, 1).await.expect("news").gap, "the first alone has no gap");
        assert!(!catalog.news(PROJECT, 2, 10).await.expect("news").gap);
    })
    .await;
}

const TICKET: [u8; 32] = [1; 32];
const CREDENTIAL: [u8; 32] = [2; 32];

async fn with_ticket(catalog: &Catalog) {
    with_projects(catalog).await;
    catalog.create_stream_ticket(TICKET, PROJECT, CREDENTIAL, at(900), None).await.expect("a ticket");
}

/// Tries the ticket at second 1.
async fn open(catalog: &Catalog, websocket: bool) -> Option<[u8; 32]> {
    catalog.use_stream_ticket(TICKET, PROJECT, websocket, at(1)).await.expect("an answer")
}

#[tokio::test]
async fn a_ticket_opens_one_websocket_however_many_try_at_once() {
    on_every_engine(async |catalog| {
        with_ticket(&catalog).await;
        let tries = futures::future::join_all((0..10).map(|_| open(&catalog, true))).await;
        let opened: Vec<[u8; 32]> = tries.into_iter().flatten().collect();
        assert_eq!(opened, [CREDENTIAL]);
        assert_eq!(open(&catalog, false).await, None, "nor does it open another kind of stream");
    })
    .await;
}

#[tokio::test]
async fn a_ticket_opens_the_same_event_stream_again_until_it_expires() {
    on_every_engine(async |catalog| {
        with_ticket(&catalog).await;
        for _ in 0..3 {
            assert_eq!(open(&catalog, false).await, Some(CREDENTIAL));
        }
        assert_eq!(open(&catalog, true).await, None, "nor a websocket beside it");
        let late = catalog.use_stream_ticket(TICKET, PROJECT, false, at(900)).await.expect("an answer");
        assert_eq!(late, None);
    })
    .await;
}

#[tokio::test]
async fn a_ticket_of_another_project_or_of_nobody_opens_nothing() {
    on_every_engine(async |catalog| {
        with_ticket(&catalog).await;
        let foreign = catalog.use_stream_ticket(TICKET, OTHER_PROJECT, true, at(1)).await.expect("an answer");
        assert_eq!(foreign, None);
        let unknown = catalog.use_stream_ticket([9; 32], PROJECT, true, at(1)).await.expect("an answer");
        assert_eq!(unknown, None);
        assert_eq!(open(&catalog, true).await, Some(CREDENTIAL), "those tries have not used it up");
    })
    .await;
}

#[tokio::test]
async fn expired_tickets_are_forgotten_and_no_others() {
    on_every_engine(async |catalog| {
        with_ticket(&catalog).await;
        assert_eq!(catalog.forget_stream_tickets(at(900), 10).await.expect("forgotten"), 0);
        let later = at(900).plus(Duration::from_secs(1));
        assert_eq!(catalog.forget_stream_tickets(later, 10).await.expect("forgotten"), 1);
    })
    .await;
}
