//! WebP in addition to JPEG and PNG, by a setting: made, listed, served, moved, remade and deleted.

use std::time::{Duration, Instant};

use eyeline_e2e::api::send;
use eyeline_e2e::photos::{self, Picture, format_of};
use eyeline_e2e::uploads::{Stated, expect_taken, id, through_link, upload_until_done, wait_until_final};
use eyeline_e2e::{Project, Server, on_both_catalogs};
use image::ImageFormat;
use serde_json::{Value, json};

on_both_catalogs!(webp_is_made_and_dropped_as_the_setting_says, webp_keeps_transparency);

const VERSIONS: [&str; 4] = ["thumb", "big_thumb", "big_1920", "d2500"];

/// The name and type of each rendition, which occurs once.
fn renditions(image: &Value) -> Vec<(String, String)> {
    let text = |one: &Value, field: &str| one[field].as_str().expect("a text").to_owned();
    let listed = image["renditions"].as_array().expect("renditions");
    let mut found: Vec<_> = listed.iter().map(|one| (text(one, "name"), text(one, "content_type"))).collect();
    found.sort_unstable();
    let count = found.len();
    found.dedup();
    assert_eq!(found.len(), count, "one entry for each name and type in {image}");
    found
}

fn expected(names: &[&str], content_type: &str) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), content_type.to_owned())).collect()
}

#[track_caller]
fn expect_renditions(image: &Value, with_webp: &[&str], beside: &str) {
    let mut all = expected(&VERSIONS, beside);
    all.extend(expected(with_webp, "image/webp"));
    all.sort_unstable();
    assert_eq!(renditions(image), all);
}

/// Fetches every rendition and compares it with its description.
async fn expect_files(project: &Project, image: &Value) {
    for one in image["renditions"].as_array().expect("renditions") {
        let file = project.key.without_credential().get(&id(one, "url")).await.expect(200);
        assert_eq!(file.header("content-type"), one["content_type"].as_str().expect("a type"));
        assert_eq!(one["bytes"], file.body.len());
        assert_eq!(format_of(&file.body).map(|format| format.to_mime_type()), one["content_type"].as_str());
        let picture = Picture::decode(&file.body);
        assert_eq!((&one["width"], &one["height"]), (&json!(picture.width), &json!(picture.height)));
    }
}

fn webp_links(image: &Value) -> Vec<String> {
    let listed = image["renditions"].as_array().expect("renditions").iter();
    listed.filter(|one| one["content_type"] == "image/webp").map(|one| id(one, "url")).collect()
}

async fn make_anew(project: &Project, image_id: &str) -> Value {
    project.key.post_nothing(&format!("/images/{image_id}/reprocess")).await.expect(202);
    wait_until_final(project, image_id).await
}

async fn webp_is_made_and_dropped_as_the_setting_says(mut server: Server) {
    let project = Project::create(&server, "webp").await;
    let gallery_id = project.gallery("shoes").await;
    let photo = photos::jpeg(3000, 2000);
    let mut request = Stated::Name.request(&project.id, &photo);
    request["gallery_id"] = json!(gallery_id);
    let link = project.key.post("/images", &request).await.expect(201).json();
    expect_taken(send(through_link(&project.key, &link, &photo)).await);
    let image_id = id(&link, "image_id");
    project.key.post_nothing(&format!("/images/{image_id}/complete")).await.expect(202);
    let image = wait_until_final(&project, &image_id).await;
    expect_renditions(&image, &[], "image/jpeg");
    let item = async || {
        project.refresh(&gallery_id).await;
        let page = project.public.get(&format!("/galleries/{gallery_id}/images")).await.expect(200).json();
        page["items"][0].clone()
    };
    assert_eq!(item().await["srcset_webp"], Value::Null);

    for (setting, with_webp) in [("all", &VERSIONS[..]), ("small", &VERSIONS[..2])] {
        server.stop().await;
        server.set("EYELINE_WEBP", setting);
        server.start_again().await;
        let image = make_anew(&project, &image_id).await;
        expect_renditions(&image, with_webp, "image/jpeg");
        expect_files(&project, &image).await;
        for name in VERSIONS {
            let file = project.key.without_credential().get(&id(&image["versions"], name)).await.expect(200);
            assert_eq!(format_of(&file.body), Some(ImageFormat::Jpeg), "versions keep JPEG: {name}");
        }
        for link in webp_links(&image) {
            let file = project.key.without_credential().get(&link).await.expect(200);
            assert!(file.header("cache-control").contains("immutable"));
            Picture::decode(&file.body).expect_quarters_in_place();
        }

        // A page offers WebP in addition to JPEG, at the same widths.
        let item = item().await;
        let widths = |set: &str| -> Vec<String> {
            item[set]
                .as_str()
                .expect("a set")
                .split(", ")
                .map(|one| one.split(' ').nth(1).expect("a width").to_owned())
                .collect()
        };
        assert_eq!(widths("srcset"), widths("srcset_webp"));
        assert_eq!(item["srcset"].as_str().expect("a set").matches(".jpg ").count(), 4, "{item}");
        assert_eq!(item["srcset_webp"].as_str().expect("a set").matches(".webp ").count(), with_webp.len(), "{item}");
        assert_eq!(item["url"], image["versions"]["d2500"]);
        let preview = format!("/galleries/{gallery_id}/images/{image_id}/preview");
        let preview = project.key.without_credential().get(&preview).await.expect(200);
        assert_eq!(preview.header("content-type"), "image/jpeg");
    }

    // The image's visibility also applies to its WebP.
    let path = format!("/images/{image_id}");
    let public = webp_links(&project.key.get(&path).await.expect(200).json());
    let image = project.key.patch(&path, &json!({"visibility": "private"})).await.expect(200).json();
    for link in &public {
        project.key.without_credential().get(link).await.expect_problem(404);
    }
    assert!(webp_links(&image).iter().all(|link| link.contains("signature=")));
    expect_files(&project, &image).await;

    server.stop().await;
    server.set("EYELINE_WEBP", "off");
    server.set("EYELINE_SWEEP_SECONDS", "1");
    server.start_again().await;
    let old = webp_links(&image);
    let image = make_anew(&project, &image_id).await;
    expect_renditions(&image, &[], "image/jpeg");
    // The sweep deletes unreferenced objects.
    let deadline = Instant::now() + Duration::from_secs(30);
    for link in &old {
        while project.key.without_credential().get(link).await.status != 404 {
            assert!(Instant::now() < deadline, "{link} is still there");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn webp_keeps_transparency(mut server: Server) {
    server.stop().await;
    server.set("EYELINE_WEBP", "all");
    server.start_again().await;
    let project = Project::create(&server, "transparent").await;
    let image = upload_until_done(&project, Stated::SizeAndHash, &photos::png_half_transparent(400, 300)).await;
    expect_renditions(&image, &VERSIONS, "image/png");
    expect_files(&project, &image).await;
    for link in webp_links(&image) {
        let file = project.key.without_credential().get(&link).await.expect(200);
        let picture = image::load_from_memory(&file.body).expect("a version can be decoded").to_rgba8();
        let (width, height) = picture.dimensions();
        let alpha = |x: u32| picture.get_pixel(x, height / 2).0[3];
        assert_eq!((alpha(width / 5), alpha(width * 4 / 5)), (255, 0), "opaque left, clear right");
    }

    let path = format!("/images/{}", id(&image, "image_id"));
    project.key.delete(&path).await.expect(204);
    for link in webp_links(&image) {
        project.key.without_credential().get(&link).await.expect_problem(404);
    }
}
