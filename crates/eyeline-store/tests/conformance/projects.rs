//! Projects, applications with their keys, repeated writes and single values.

use std::time::Duration;

use eyeline_core::{ApplicationId, ErasureId, ProjectId, Tier, Timestamp};
use eyeline_store::catalog::applications::{Application, ApplicationPatch, Rotation};
use eyeline_store::catalog::facts::SIGN_IN_TICKETS_MAX;
use eyeline_store::catalog::idempotency::{IdempotencyKey, KEPT, KeptAnswer, Once, Repeatable};
use eyeline_store::catalog::projects::{Project, ProjectPatch, ProjectUsage};
use eyeline_store::{Catalog, Error};
use uuid::Uuid;

use crate::engines::on_every_engine;

const KEY: [u8; 32] = [1; 32];
const ERASURE: ErasureId = ErasureId(Uuid::from_u128(90));
const OTHER_KEY: [u8; 32] = [2; 32];

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn project(number: u128, second: i64) -> Project {
    let project_id = ProjectId(Uuid::from_u128(number));
    Project { project_id, name: format!("project {number}"), tier: Tier::Business, created_at: at(second) }
}

fn application(number: u128, project: &Project) -> Application {
    Application {
        application_id: ApplicationId(Uuid::from_u128(number)),
        project_id: project.project_id,
        name: "shop".to_owned(),
        allowed_origins: vec!["https://a.example".to_owned(), "https://b.example".to_owned()],
        signing_secret: vec![0, 255],
        page_of: None,
        ed25519_public_key: None,
        created_at: at(1),
    }
}

async fn with_application(catalog: &Catalog) -> (Project, Application) {
    let project = project(1, 1);
    catalog.create_project(project.clone(), None).await.expect("a project");
    let application = application(2, &project);
    catalog.create_application(application.clone(), KEY, None).await.expect("an application");
    (project, application)
}

#[tokio::test]
async fn a_caller_that_goes_away_at_any_moment_leaves_nothing_for_the_next() {
    on_every_engine(async |catalog| {
        for number in 1..=100 {
            let mut asked = Box::pin(catalog.project(ProjectId(Uuid::from_u128(number))));
            for _ in 0..number % 10 {
                if futures::poll!(&mut asked).is_ready() {
                    break;
                }
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
            drop(asked);
            catalog.create_project(project(number, 1), None).await.expect("a project");
        }
        assert_eq!(catalog.projects(None, 1_000).await.expect("projects").len(), 100);
    })
    .await;
}

#[tokio::test]
async fn projects_are_listed_the_newest_first_from_any_place() {
    on_every_engine(async |catalog| {
        let mut made = Vec::new();
        // Two of the same time: the id decides.
        for (number, second) in [(1, 10), (2, 20), (3, 20), (4, 5)] {
            made.push(project(number, second));
            catalog.create_project(project(number, second), None).await.expect("a project");
        }
        let names = |found: Vec<Project>| found.into_iter().map(|project| project.name).collect::<Vec<_>>();
        let all = catalog.projects(None, 10).await.expect("projects");
        assert_eq!(names(all), ["project 3", "project 2", "project 1", "project 4"]);
        let after = Some((at(20), made[2].project_id));
        assert_eq!(names(catalog.projects(after, 2).await.expect("projects")), ["project 2", "project 1"]);
        assert_eq!(catalog.project(made[0].project_id).await.expect("an answer").as_ref(), Some(&made[0]));
    })
    .await;
}

#[tokio::test]
async fn a_patch_changes_what_it_says_and_nothing_else() {
    on_every_engine(async |catalog| {
        let (project, application) = with_application(&catalog).await;
        let patch = ProjectPatch { tier: Some(Tier::Free), ..ProjectPatch::default() };
        let changed = catalog.update_project(project.project_id, patch).await.expect("a project");
        assert_eq!(changed, Project { tier: Tier::Free, ..project });

        let patch = ApplicationPatch { ed25519_public_key: Some(Some("key".to_owned())), ..Default::default() };
        let changed = catalog.update_application(application.application_id, patch).await.expect("an application");
        assert_eq!(changed, Application { ed25519_public_key: Some("key".to_owned()), ..application.clone() });
        let patch = ApplicationPatch {
            allowed_origins: Some(Vec::new()),
            ed25519_public_key: Some(None),
            ..ApplicationPatch::default()
        };
        let changed = catalog.update_application(application.application_id, patch).await.expect("an application");
        assert_eq!(changed, Application { allowed_origins: Vec::new(), ..application });
    })
    .await;
}

#[tokio::test]
async fn a_deleted_project_is_gone_with_everything_in_it() {
    on_every_engine(async |catalog| {
        let (project, application) = with_application(&catalog).await;
        let project_id = project.project_id;
        assert_eq!(catalog.project_to_clear(10).await.expect("an answer"), None);
        catalog.delete_project(project_id, ERASURE, at(9)).await.expect("a deletion");
        assert_eq!(catalog.project(project_id).await.expect("an answer"), None);
        // Its events are erased before its last rows are deleted.
        assert_eq!(catalog.project_to_clear(10).await.expect("an answer"), None);
        let erasure = catalog.erasure(project_id, ERASURE).await.expect("an answer").expect("an erasure");
        assert_eq!((erasure.session_id, erasure.requested_at, erasure.finished_at), (None, at(9), None));
        catalog.finish_erasure(ERASURE, at(10)).await.expect("finished");
        assert!(catalog.projects(None, 10).await.expect("projects").is_empty());
        assert_eq!(catalog.application(application.application_id).await.expect("an answer"), None);
        assert_eq!(catalog.application_by_key(KEY).await.expect("an answer"), None);
        assert!(!catalog.is_allowed_origin("https://a.example".to_owned()).await.expect("an answer"));
        for refused in [
            catalog.delete_project(project_id, ERASURE, at(9)).await.err(),
            catalog.update_project(project_id, ProjectPatch::default()).await.err(),
            catalog.project_usage(project_id, Timestamp::from_micros(0)).await.err(),
            catalog.applications(project_id, None, 10).await.err(),
            catalog.create_application(application, OTHER_KEY, None).await.err(),
        ] {
            assert!(matches!(refused, Some(Error::NotFound("project"))), "{refused:?}");
        }

        assert_eq!(catalog.project_to_clear(10).await.expect("an answer"), Some((project_id, vec![])));
        assert!(!catalog.clear_project(project_id, 10).await.expect("cleared"));
        assert_eq!(catalog.project_to_clear(10).await.expect("an answer"), None);
    })
    .await;
}

#[tokio::test]
async fn an_application_is_found_by_its_key_and_listed_in_its_project() {
    on_every_engine(async |catalog| {
        let (project, application) = with_application(&catalog).await;
        let found = catalog.application_by_key(KEY).await.expect("an answer");
        assert_eq!(found, Some((application.clone(), None)));
        assert_eq!(catalog.application_by_key(OTHER_KEY).await.expect("an answer"), None);
        let listed = catalog.applications(project.project_id, None, 10).await.expect("applications");
        assert_eq!(listed, std::slice::from_ref(&application));
        let after = Some((application.created_at, application.application_id));
        assert!(catalog.applications(project.project_id, after, 10).await.expect("applications").is_empty());
        assert!(catalog.is_allowed_origin("https://b.example".to_owned()).await.expect("an answer"));
        assert!(!catalog.is_allowed_origin("https://c.example".to_owned()).await.expect("an answer"));
        assert_eq!(
            catalog.project_usage(project.project_id, Timestamp::from_micros(0)).await.expect("usage"),
            (project, ProjectUsage::default())
        );
    })
    .await;
}

#[tokio::test]
async fn a_rotation_lets_older_keys_end_never_later_than_before() {
    on_every_engine(async |catalog| {
        let (_, application) = with_application(&catalog).await;
        let id = application.application_id;
        let rotate = async |key_hash, older_until, now| {
            let rotation = Rotation { key_hash, older_until: at(older_until), signing_secret: None };
            catalog.rotate_key(id, rotation, at(now), None).await.expect("a rotation");
        };
        let ends = async |key| catalog.application_by_key(key).await.expect("an answer").map(|(_, end)| end);
        rotate(OTHER_KEY, 100, 10).await;
        assert_eq!((ends(KEY).await, ends(OTHER_KEY).await), (Some(Some(at(100))), Some(None)));
        rotate([3; 32], 200, 20).await;
        assert_eq!((ends(KEY).await, ends(OTHER_KEY).await), (Some(Some(at(100))), Some(Some(at(200)))));
        rotate([4; 32], 300, 150).await;
        assert_eq!(ends(KEY).await, None, "what has ended is forgotten");

        let rotation = Rotation { key_hash: [5; 32], older_until: at(150), signing_secret: Some(vec![9]) };
        catalog.rotate_key(id, rotation, at(150), None).await.expect("a rotation");
        let (renewed, end) = catalog.application_by_key([5; 32]).await.expect("an answer").expect("the new key");
        assert_eq!((renewed.signing_secret, end), (vec![9], None));
        assert_eq!(ends([4; 32]).await, None, "without an overlap the older ones end at once");

        catalog.delete_application(id).await.expect("a deletion");
        assert_eq!(ends([5; 32]).await, None);
        assert!(matches!(catalog.delete_application(id).await, Err(Error::NotFound("application"))));
    })
    .await;
}

fn repeatable(body: u8, now: Timestamp) -> Option<Repeatable<Project>> {
    let key = IdempotencyKey {
        credential: [0; 32],
        route: "POST /projects".to_owned(),
        key: "k".to_owned(),
        body_hash: [body; 32],
        now,
    };
    let answer = |project: &Project| KeptAnswer { status: 201, body: project.name.clone() };
    Some(Repeatable { key, answer: Box::new(answer) })
}

#[tokio::test]
async fn repetitions_at_the_same_moment_write_once_and_are_answered_alike() {
    on_every_engine(async |catalog| {
        let writes = (0..8).map(|number| {
            let catalog = catalog.clone();
            async move { catalog.create_project(project(number, 1), repeatable(0, at(1))).await.expect("an answer") }
        });
        let outcomes = futures::future::join_all(writes).await;
        let done: Vec<&str> = outcomes
            .iter()
            .filter_map(|outcome| match outcome {
                Once::Done(project) => Some(project.name.as_str()),
                Once::Repeated(_) => None,
            })
            .collect();
        assert_eq!(done.len(), 1, "{outcomes:?}");
        for outcome in &outcomes {
            if let Once::Repeated(kept) = outcome {
                assert_eq!((kept.status, kept.body.as_str()), (201, done[0]));
            }
        }
        assert_eq!(catalog.projects(None, 10).await.expect("projects").len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_holds_for_its_body_and_its_time() {
    on_every_engine(async |catalog| {
        catalog.create_project(project(1, 1), repeatable(0, at(1))).await.expect("a project");
        let other = catalog.create_project(project(2, 1), repeatable(1, at(2))).await;
        assert!(matches!(other, Err(Error::Refused(_))), "{other:?}");
        let late = at(1).plus(KEPT + Duration::from_secs(1));
        let again = catalog.create_project(project(3, 1), repeatable(1, late)).await.expect("a project");
        assert!(matches!(again, Once::Done(_)), "{again:?}");

        assert_eq!(catalog.forget_idempotency_keys(late, 10).await.expect("forgotten"), 0);
        let later = late.plus(KEPT + Duration::from_secs(1));
        assert_eq!(catalog.forget_idempotency_keys(later, 10).await.expect("forgotten"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_write_that_fails_leaves_its_key_free() {
    on_every_engine(async |catalog| {
        catalog.create_project(project(1, 1), None).await.expect("a project");
        assert!(catalog.create_project(project(1, 1), repeatable(0, at(1))).await.is_err(), "the id is taken");
        let done = catalog.create_project(project(2, 1), repeatable(0, at(1))).await.expect("a project");
        assert!(matches!(done, Once::Done(_)), "{done:?}");
    })
    .await;
}

#[tokio::test]
async fn single_values_are_kept_and_a_ticket_works_once() {
    on_every_engine(async |catalog| {
        assert_eq!(catalog.clock_offset().await.expect("an offset"), 0);
        catalog.set_clock_offset(-5).await.expect("kept");
        catalog.set_clock_offset(7).await.expect("kept");
        assert_eq!(catalog.clock_offset().await.expect("an offset"), 7);

        let used = async |hash: &str| catalog.use_sign_in_ticket(hash, 100).await.expect("an answer");
        let create = async |hash: &str, until| catalog.create_sign_in_ticket(hash, until, 99).await.expect("kept");
        for (hash, until) in [("first", 101), ("second", 102), ("late", 100)] {
            create(hash, until).await;
        }
        assert!(used("second").await && !used("second").await);
        assert!(used("first").await, "a newer one leaves it");
        assert!(!used("late").await, "it has expired");
        for number in 0..=SIGN_IN_TICKETS_MAX {
            create(&format!("of many {number}"), 200 + number).await;
        }
        assert!(!used("of many 0").await, "one too many ends the first");
        assert!(used("of many 1").await && used(&format!("of many {SIGN_IN_TICKETS_MAX}")).await);
        assert!(!used("7").await, "another value is no ticket");
    })
    .await;
}
