//! Upload links: accepted files, refused files, and repeated use.

use std::time::Duration;

use eyeline_e2e::api::{send, try_send};
use eyeline_e2e::photos::{self, Photo};
use eyeline_e2e::uploads::{Stated, ask, expect_taken, id, through_link, through_link_cut, wait_until_final};
use eyeline_e2e::{Catalog, Project, Server, on_both_catalogs};
use serde_json::{Value, json};

on_both_catalogs!(
    a_link_is_used_once,
    a_forged_link_is_refused,
    a_file_over_the_limit_is_refused_before_and_while_it_is_sent,
    a_type_that_is_no_image_is_refused,
    a_body_of_another_size_or_hash_is_refused_and_the_right_one_taken,
    a_cut_upload_can_be_repeated,
    a_lost_completion_call_is_made_up_for,
    complete_before_the_file_is_a_conflict_and_after_it_harmless,
    a_batch_gives_every_file_its_own_verdict,
    limits_are_told_before_a_byte_moves,
);

const MIB: usize = 1024 * 1024;

async fn project_of_tier(server: &Server, tier: &str) -> Project {
    Project::create_with(server, json!({"name": "limits", "tier": tier}), json!([])).await
}

async fn a_link_is_used_once(server: Server) {
    let project = Project::create(&server, "one use").await;
    for stated in [Stated::Name, Stated::SizeAndHash] {
        let photo = photos::jpeg(100, 80).with_comment(&format!("{stated:?}"));
        let link = ask(&project, stated, &photo).await;
        expect_taken(send(through_link(&project.key, &link, &photo)).await);
        send(through_link(&project.key, &link, &photo)).await.expect_problem(412);
        project.key.post_nothing(&format!("/images/{}/complete", id(&link, "image_id"))).await.expect(202);
        let image = wait_until_final(&project, &id(&link, "image_id")).await;
        assert_eq!((&image["state"], &image["sha256"]), (&json!("done"), &json!(photo.sha256())));
        send(through_link(&project.key, &link, &photo)).await.expect_problem(412);
    }
}

async fn a_forged_link_is_refused(server: Server) {
    let project = Project::create(&server, "forgery").await;
    let photo = photos::jpeg(100, 80);

    let form = ask(&project, Stated::Name, &photo).await;
    let fields = form["params"]["fields"].as_object().expect("fields").clone();
    assert!(!fields.is_empty(), "{form}");
    // The bytes decide the format, whatever type is declared.
    for name in fields.keys().filter(|name| *name != "Content-Type") {
        let mut forged = form.clone();
        let field = &mut forged["params"]["fields"][name];
        *field = json!(another(field.as_str().expect("a text")));
        let refused = send(through_link(&project.key, &forged, &photo)).await;
        assert!(matches!(refused.status, 400 | 403 | 415), "with another {name}: {refused}");
    }

    let put = ask(&project, Stated::SizeAndHash, &photo).await;
    let address = id(&put, "upload_link");
    let (path, query) = address.split_once('?').expect("the address is signed");
    for pair in query.split('&') {
        let mut forged = put.clone();
        forged["upload_link"] = json!(format!("{path}?{}", query.replace(pair, &another(pair))));
        let refused = send(through_link(&project.key, &forged, &photo)).await;
        assert!(matches!(refused.status, 400 | 403), "with another {pair}: {refused}");
    }
    // The links of two images cannot be mixed.
    let other = ask(&project, Stated::SizeAndHash, &photo).await;
    let mut mixed = put.clone();
    let (other_path, _) = other["upload_link"].as_str().and_then(|link| link.split_once('?')).expect("signed");
    mixed["upload_link"] = json!(format!("{other_path}?{query}"));
    if mixed["upload_link"] != put["upload_link"] {
        send(through_link(&project.key, &mixed, &photo)).await.expect_problem(403);
    }

    for link in [form, put] {
        expect_taken(send(through_link(&project.key, &link, &photo)).await);
    }
}

/// A text that differs in a significant letter (the last one of base64 may hold unused bits).
fn another(text: &str) -> String {
    let at = text.len().saturating_sub(2);
    let letter = if text.as_bytes()[at] == b'a' { "b" } else { "a" };
    format!("{}{letter}{}", &text[..at], &text[at + 1..])
}

async fn a_file_over_the_limit_is_refused_before_and_while_it_is_sent(server: Server) {
    let project = project_of_tier(&server, "free").await;
    let large = Photo::new("large.jpg", "image/jpeg", vec![0xFF; 11 * MIB]);
    let request = Stated::SizeAndHash.request(&project.id, &large);
    project.key.post("/images", &request).await.expect_problem(413);

    let link = ask(&project, Stated::Name, &large).await;
    let sent = try_send(through_link(&project.key, &link, &large)).await;
    // The server may close the connection while the client still sends; then there may be no answer to read.
    if let Ok(answer) = sent {
        answer.expect_problem(413);
    }
    let image = project.key.get(&format!("/images/{}", id(&link, "image_id"))).await.expect(200).json();
    assert_eq!(image["state"], "init", "nothing arrived: {image}");
    expect_taken(send(through_link(&project.key, &link, &photos::jpeg(100, 80))).await);

    let business = Project::create(&server, "the default tier").await;
    let request = Stated::SizeAndHash.request(&business.id, &large);
    business.key.post("/images", &request).await.expect(201);
}

async fn a_type_that_is_no_image_is_refused(server: Server) {
    let project = Project::create(&server, "types").await;
    let types = [("a.svg", "image/svg+xml"), ("a.pdf", "application/pdf"), ("a.html", "text/html")];
    for (filename, content_type) in types {
        let request = json!({"filename": filename, "project_id": project.id, "content_type": content_type});
        project.key.post("/images", &request).await.expect_problem(415);
        project.key.post("/images", &json!({"filename": filename, "project_id": project.id})).await.expect_problem(415);
    }
}

async fn a_body_of_another_size_or_hash_is_refused_and_the_right_one_taken(server: Server) {
    let project = Project::create(&server, "promises").await;
    let photo = photos::jpeg(1000, 700);
    let link = ask(&project, Stated::SizeAndHash, &photo).await;

    let mut changed = photo.bytes.to_vec();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let same_size = Photo::new("changed.jpg", "image/jpeg", changed);
    for wrong in [same_size, photo.with_comment("longer"), photo.cut_to(1_000)] {
        let refused = send(through_link(&project.key, &link, &wrong)).await;
        assert!(matches!(refused.status, 400 | 403 | 413 | 422), "another body than stated: {refused}");
        project.key.post_nothing(&format!("/images/{}/complete", id(&link, "image_id"))).await.expect_problem(409);
    }
    expect_taken(send(through_link(&project.key, &link, &photo)).await);
}

async fn a_cut_upload_can_be_repeated(server: Server) {
    let project = Project::create(&server, "cut connections").await;
    let photo = photos::jpeg(1000, 700);
    for stated in [Stated::SizeAndHash, Stated::Name] {
        let link = ask(&project, stated, &photo).await;
        let cut = try_send(through_link_cut(&project.key, &link, &photo)).await;
        assert!(cut.is_err(), "the server answered before the file was there");
        let image = project.key.get(&format!("/images/{}", id(&link, "image_id"))).await.expect(200).json();
        assert_eq!(image["state"], "init", "half a file has not arrived: {image}");

        expect_taken(send(through_link(&project.key, &link, &photo)).await);
        project.key.post_nothing(&format!("/images/{}/complete", id(&link, "image_id"))).await.expect(202);
        let image = wait_until_final(&project, &id(&link, "image_id")).await;
        assert_eq!((&image["state"], &image["sha256"]), (&json!("done"), &json!(photo.sha256())));
    }
}

async fn a_lost_completion_call_is_made_up_for(server: Server) {
    let project = Project::create(&server, "lost calls").await;
    let photo = photos::jpeg(100, 80);
    let link = ask(&project, Stated::Name, &photo).await;
    expect_taken(send(through_link(&project.key, &link, &photo)).await);
    // Found within 60 s, then a moment for the work itself.
    let image = tokio::time::timeout(Duration::from_secs(65), async {
        loop {
            let image = project.key.get(&format!("/images/{}", id(&link, "image_id"))).await.expect(200).json();
            if image["state"] == "done" {
                return image;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    image.await.expect("the sweep finds the file within a minute");
}

async fn complete_before_the_file_is_a_conflict_and_after_it_harmless(server: Server) {
    let project = Project::create(&server, "completion").await;
    let photo = photos::jpeg(100, 80);
    let link = ask(&project, Stated::Name, &photo).await;
    let image_id = id(&link, "image_id");
    let complete = format!("/images/{image_id}/complete");
    project.key.post_nothing(&complete).await.expect_problem(409);
    expect_taken(send(through_link(&project.key, &link, &photo)).await);
    for _ in 0..3 {
        project.key.post_nothing(&complete).await.expect(202);
    }
    let done = wait_until_final(&project, &image_id).await;
    project.key.post_nothing(&complete).await.expect(202);
    let after = project.key.get(&format!("/images/{image_id}")).await.expect(200).json();
    assert_eq!(
        (&after["state"], &after["updated_at"]),
        (&json!("done"), &done["updated_at"]),
        "nothing happened again"
    );
}

async fn a_batch_gives_every_file_its_own_verdict(server: Server) {
    let project = project_of_tier(&server, "free").await;
    let good = photos::jpeg(100, 80);
    let file = |name: &str, kind: &str, size: usize, sha256: &str| json!({"filename": name, "content_type": kind, "size": size, "sha256": sha256});
    let batch = json!({"project_id": project.id, "files": [
        file("good.jpg", "image/jpeg", good.bytes.len(), &good.sha256()),
        file("large.jpg", "image/jpeg", 11 * MIB, &"0".repeat(64)),
        file("page.html", "text/html", 10, &"1".repeat(64)),
    ]});
    let answer = project.key.post("/images/batch", &batch).await.expect(200).json();
    let files = answer["images"].as_array().expect("images");
    let verdicts: Vec<&Value> = files.iter().map(|file| &file["verdict"]).collect();
    assert_eq!(verdicts, ["created", "too_large", "wrong_type"], "{answer}");
    let linked: Vec<bool> = files.iter().map(|file| file["upload_link"].is_string()).collect();
    assert_eq!(linked, [true, false, false], "{answer}");
    expect_taken(send(through_link(&project.key, &files[0], &good)).await);

    let again =
        json!({"project_id": project.id, "files": [file("copy.jpg", "image/jpeg", good.bytes.len(), &good.sha256())]});
    let again = project.key.post("/images/batch", &again).await.expect(200).json();
    assert_eq!(again["images"][0]["verdict"], "duplicate", "{again}");
    assert_eq!(again["images"][0]["duplicate_of"], files[0]["image_id"], "{again}");
}

async fn limits_are_told_before_a_byte_moves(server: Server) {
    let project = project_of_tier(&server, "free").await;
    let limits = project.key.get("/limits").await.expect(200).json();
    assert!(
        limits.to_string().contains(&(10 * 1_000_000).to_string())
            || limits.to_string().contains(&(10 * MIB).to_string()),
        "{limits}"
    );
}

/// The lifetime of a link is a setting; links of this server live one second.
async fn an_expired_link_is_refused(catalog: Catalog) {
    let server = Server::start_with(catalog, &[("EYELINE_UPLOAD_LINK_SECONDS", "1")]).await;
    let project = Project::create(&server, "expiry").await;
    let photo = photos::jpeg(100, 80);
    for stated in [Stated::Name, Stated::SizeAndHash] {
        let link = ask(&project, stated, &photo).await;
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        send(through_link(&project.key, &link, &photo)).await.expect_problem(403);
    }
}

#[tokio::test]
async fn an_expired_link_is_refused_on_sqlite() {
    an_expired_link_is_refused(Catalog::Sqlite).await;
}

#[tokio::test]
async fn an_expired_link_is_refused_on_postgres() {
    an_expired_link_is_refused(Catalog::Postgres).await;
}
