//! From a file to its versions, the news and the gallery.

use eyeline_e2e::animations;
use eyeline_e2e::api::send;
use eyeline_e2e::photos::{self, Photo, Picture, format_of};
use eyeline_e2e::streams::{self, ServerSentEvents, Socket};
use eyeline_e2e::uploads::{Stated, expect_taken, id, through_link, upload, upload_until_done, wait_until_final};
use eyeline_e2e::{Answer, Project, Server, on_both_catalogs};
use image::ImageFormat;
use serde_json::{Value, json};

on_both_catalogs!(
    four_photos_get_every_version_in_the_right_size_and_their_news_is_heard,
    the_original_is_a_signed_download_of_the_very_bytes,
    a_public_version_is_an_immutable_address_that_needs_no_credential,
    a_turned_photo_is_set_upright_and_says_nothing_of_its_place,
    transparency_is_kept_as_png,
    an_animation_is_kept_byte_for_byte_and_shown_by_its_first_frame,
    a_cut_jpeg_ends_as_error_with_a_reason,
    a_text_called_photo_ends_as_error_with_a_reason,
    a_deleted_image_is_gone_with_its_versions,
    an_uploaded_photo_is_in_its_gallery_once_done,
);

const VERSIONS: [&str; 4] = ["thumb", "big_thumb", "big_1920", "d2500"];

struct Case {
    size: (u32, u32),
    stated: Stated,
    /// The names of versions, in order.
    sizes: [(u32, u32); 4],
}

const FOUR_PHOTOS: [Case; 4] = [
    Case {
        size: (4000, 3000),
        stated: Stated::SizeAndHash,
        sizes: [(150, 113), (700, 525), (1440, 1080), (2500, 1875)],
    },
    Case { size: (3000, 4000), stated: Stated::Name, sizes: [(90, 120), (525, 700), (810, 1080), (1875, 2500)] },
    Case { size: (1000, 700), stated: Stated::SizeAndHash, sizes: [(150, 105), (700, 490), (1000, 700), (1000, 700)] },
    Case { size: (100, 80), stated: Stated::Name, sizes: [(100, 80); 4] },
];

async fn four_photos_get_every_version_in_the_right_size_and_their_news_is_heard(server: Server) {
    let project = Project::create(&server, "photos").await;
    let path = streams::path(&project.id, None);
    let mut socket = Socket::open(&project.key, &path).await.expect("a stream of the project's own");
    let mut events = ServerSentEvents::open(&project.key, &path, None).await.expect("the same stream as SSE");

    let mut images = Vec::new();
    for case in &FOUR_PHOTOS {
        let photo = photos::jpeg(case.size.0, case.size.1);
        images.push((upload(&project, case.stated, &photo).await, photo, case));
    }
    let news = socket.until_final(images.len()).await;

    for (image_id, photo, case) in &images {
        let image = project.key.get(&format!("/images/{image_id}")).await.expect(200).json();
        assert_eq!(image["state"], "done", "{image}");
        assert_eq!(image["error"], Value::Null, "{image}");
        assert_eq!((image["width"].clone(), image["height"].clone()), (json!(case.size.0), json!(case.size.1)));
        assert_eq!(image["bytes"], photo.bytes.len(), "{image}");
        assert_eq!(image["sha256"], photo.sha256(), "{image}");
        assert_eq!(image["content_type"], "image/jpeg", "{image}");
        assert!(image["thumbhash"].as_str().is_some_and(|hash| !hash.is_empty()), "{image}");
        expect_versions(&project, &image, case.sizes).await;

        let states: Vec<&str> = news
            .iter()
            .filter(|news| news["image_id"] == **image_id)
            .filter_map(|news| news["state"].as_str())
            .collect();
        assert_eq!(states, ["init", "uploaded", "processing", "done"], "the news of {image_id}");
    }

    let seqs: Vec<u64> = news.iter().filter_map(|news| news["seq"].as_u64()).collect();
    let rising: Vec<u64> = (seqs[0]..).take(seqs.len()).collect();
    assert_eq!(seqs, rising, "seq rises by one");
    for heard in news.iter().filter(|news| news["seq"].is_u64()) {
        assert_eq!(heard["type"], "image.state", "{heard}");
        assert_eq!(heard["project_id"], *project.id, "{heard}");
        assert!(heard["at"].is_string(), "{heard}");
        if heard["state"] != "done" {
            assert_no_version(heard);
        }
        let mut same = events.next().await;
        while same["seq"].is_null() {
            same = events.next().await;
        }
        let told = |message: &Value| [message["seq"].clone(), message["image_id"].clone(), message["state"].clone()];
        assert_eq!(told(heard), told(&same), "both streams tell the same");
    }
}

async fn expect_versions(project: &Project, image: &Value, sizes: [(u32, u32); 4]) {
    let mut names: Vec<&str> = image["versions"].as_object().expect("versions").keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["big_1920", "big_thumb", "d2500", "original", "thumb"]);
    for (name, (width, height)) in VERSIONS.into_iter().zip(sizes) {
        let answer = download(project, &image["versions"][name]).await.expect(200);
        assert_eq!(answer.header("content-type"), "image/jpeg", "{name}");
        assert_eq!(format_of(&answer.body), Some(ImageFormat::Jpeg), "{name}");
        let picture = Picture::decode(&answer.body);
        assert_eq!((picture.width, picture.height), (width, height), "the size of {name} of {}", image["filename"]);
        picture.expect_quarters_in_place();

        let renditions = image["renditions"].as_array().expect("renditions");
        let rendition = renditions.iter().find(|rendition| rendition["name"] == name);
        let rendition = rendition.unwrap_or_else(|| panic!("a rendition {name} in {image}"));
        assert_eq!(rendition["content_type"], "image/jpeg");
        assert_eq!((&rendition["width"], &rendition["height"]), (&json!(width), &json!(height)));
        assert_eq!(rendition["bytes"], answer.body.len());
    }
}

/// Fetches a version like anyone who has its link.
async fn download(project: &Project, link: &Value) -> Answer {
    let link = link.as_str().unwrap_or_else(|| panic!("a link, not {link}"));
    project.key.without_credential().get(link).await
}

fn assert_no_version(message: &Value) {
    for name in VERSIONS {
        assert_eq!(message["versions"][name], Value::Null, "no link before done: {message}");
    }
}

async fn the_original_is_a_signed_download_of_the_very_bytes(server: Server) {
    let project = Project::create(&server, "originals").await;
    let photo = photos::jpeg(1000, 700).with_comment("what the camera wrote");
    let image = upload_until_done(&project, Stated::Name, &photo).await;

    let link = id(&image["versions"], "original");
    let original = download(&project, &json!(link)).await.expect(200);
    assert!(original.body == *photo.bytes, "the original is kept byte for byte");
    assert!(original.header("content-disposition").starts_with("attachment"), "{:?}", original.headers);
    assert_eq!(original.header("x-content-type-options"), "nosniff");
    assert!(original.header("content-security-policy").contains("sandbox"), "{:?}", original.headers);
    assert!(!original.header("cache-control").contains("public"), "{:?}", original.headers);

    let (address, query) = link.split_once('?').expect("a signed link has a query");
    project.key.without_credential().get(address).await.expect_problem(403);
    let forged = format!("{address}?{}", swap_last_digit(query));
    project.key.without_credential().get(&forged).await.expect_problem(403);
}

/// Another text of the same form, like a forger's.
fn swap_last_digit(text: &str) -> String {
    let at = text.rfind(|letter: char| letter.is_ascii_alphanumeric()).expect("a letter or digit");
    // The last digit of base64 may hold unused bits; the one before it always counts.
    let at = at.saturating_sub(1);
    let other = if &text[at..=at] == "a" { "b" } else { "a" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

async fn a_public_version_is_an_immutable_address_that_needs_no_credential(server: Server) {
    let project = Project::create(&server, "public versions").await;
    let image = upload_until_done(&project, Stated::Name, &photos::jpeg(1000, 700)).await;
    let again = project.key.get(&format!("/images/{}", id(&image, "image_id"))).await.expect(200).json();
    assert_eq!(image["versions"]["thumb"], again["versions"]["thumb"], "the address does not move");

    let thumb = download(&project, &image["versions"]["thumb"]).await.expect(200);
    let caching = thumb.header("cache-control");
    assert!(caching.contains("public") && caching.contains("immutable"), "cache-control is {caching}");
    assert_eq!(thumb.header("x-content-type-options"), "nosniff");

    let private = json!({"visibility": "private"});
    project.key.patch(&format!("/images/{}", id(&image, "image_id")), &private).await.expect(200);
    download(&project, &image["versions"]["thumb"]).await.expect(404);
    let hidden = project.key.get(&format!("/images/{}", id(&image, "image_id"))).await.expect(200).json();
    download(&project, &hidden["versions"]["thumb"]).await.expect(200);
}

async fn a_turned_photo_is_set_upright_and_says_nothing_of_its_place(server: Server) {
    let project = Project::create(&server, "orientation").await;
    let photo = photos::jpeg(1000, 700).with_exif_turned_right();
    let image = upload_until_done(&project, Stated::Name, &photo).await;

    assert_eq!((&image["width"], &image["height"]), (&json!(700), &json!(1000)), "{image}");
    for (name, size) in VERSIONS.into_iter().zip([(84, 120), (490, 700), (700, 1000), (700, 1000)]) {
        let version = download(&project, &image["versions"][name]).await.expect(200);
        let picture = Picture::decode(&version.body);
        assert_eq!((picture.width, picture.height), size, "{name}");
        picture.expect_quarters_turned_right();
        assert!(!version.body.windows(4).any(|bytes| bytes == b"Exif"), "{name} holds EXIF data");
    }
    let original = download(&project, &image["versions"]["original"]).await.expect(200);
    assert!(original.body == *photo.bytes, "the original is kept byte for byte");
}

async fn transparency_is_kept_as_png(server: Server) {
    let project = Project::create(&server, "transparency").await;
    let image = upload_until_done(&project, Stated::SizeAndHash, &photos::png_half_transparent(400, 300)).await;
    let thumb = download(&project, &image["versions"]["thumb"]).await.expect(200);
    assert_eq!(thumb.header("content-type"), "image/png");
    let thumb = image::load_from_memory(&thumb.body).expect("a version can be decoded").to_rgba8();
    assert_eq!(thumb.dimensions(), (150, 113));
    assert_eq!((thumb.get_pixel(30, 50).0[3], thumb.get_pixel(120, 50).0[3]), (255, 0), "opaque left, clear right");
}

async fn an_animation_is_kept_byte_for_byte_and_shown_by_its_first_frame(server: Server) {
    let project = Project::create(&server, "animations").await;
    for photo in animations::all() {
        let image = upload_until_done(&project, Stated::SizeAndHash, &photo).await;
        assert_eq!(image["content_type"], photo.content_type, "{image}");
        let original = download(&project, &image["versions"]["original"]).await.expect(200);
        assert!(original.body == *photo.bytes, "{} moves still", photo.filename);
        let version = download(&project, &image["versions"]["d2500"]).await.expect(200);
        let version = image::load_from_memory(&version.body).expect("a version can be decoded").to_rgb8();
        assert_eq!(version.dimensions(), (animations::WIDTH, animations::HEIGHT));
        let (shown, first) = (version.get_pixel(40, 30).0, animations::COLOURS[0]);
        let is_near = shown.iter().zip(first).all(|(shown, first)| shown.abs_diff(first) < 10);
        assert!(is_near, "{shown:?} of {}", photo.filename);
    }
}

async fn a_cut_jpeg_ends_as_error_with_a_reason(server: Server) {
    let whole = photos::jpeg(1000, 700);
    ends_as_error(&server, &whole.cut_to(whole.bytes.len() / 2)).await;
}

async fn a_text_called_photo_ends_as_error_with_a_reason(server: Server) {
    let text = Photo::new("photo.jpg", "image/jpeg", b"<html><script>alert(1)</script></html>".to_vec());
    ends_as_error(&server, &text).await;
}

async fn ends_as_error(server: &Server, photo: &Photo) {
    let project = Project::create(server, "errors").await;
    let mut socket = Socket::open(&project.key, &streams::path(&project.id, None)).await.expect("the stream");
    for stated in [Stated::Name, Stated::SizeAndHash] {
        let image_id = upload(&project, stated, photo).await;
        let image = wait_until_final(&project, &image_id).await;
        assert_eq!(image["state"], "error", "{image}");
        let reason = image["error"].as_str().expect("a reason");
        assert!(reason.contains(' '), "the reason is a sentence: {reason}");
        assert_no_version(&image);
        let news = socket.until_final(1).await;
        assert_eq!(news.last().map(|last| last["state"].clone()), Some(json!("error")));
        let original = download(&project, &image["versions"]["original"]).await.expect(200);
        assert!(original.body == *photo.bytes, "keys can still fetch what was sent");
    }
    let failed = project.key.get(&format!("/projects/{}/images?state=error", project.id)).await.expect(200).json();
    assert_eq!(failed["images"].as_array().map(Vec::len), Some(2), "{failed}");
}

async fn a_deleted_image_is_gone_with_its_versions(server: Server) {
    let project = Project::create(&server, "deletion").await;
    let image = upload_until_done(&project, Stated::Name, &photos::jpeg(1000, 700)).await;
    let path = format!("/images/{}", id(&image, "image_id"));
    project.key.delete(&path).await.expect(204);
    project.key.get(&path).await.expect_problem(404);
    for name in ["original", "thumb", "big_thumb", "big_1920", "d2500"] {
        download(&project, &image["versions"][name]).await.expect(404);
    }
    let left = project.key.get(&format!("/projects/{}/images", project.id)).await.expect(200).json();
    assert_eq!(left["images"], json!([]));
}

async fn an_uploaded_photo_is_in_its_gallery_once_done(server: Server) {
    let project = Project::create(&server, "gallery of uploads").await;
    let gallery_id = project.gallery("uploads").await;
    let path = format!("/galleries/{gallery_id}/images");
    let mut uploaded = Vec::new();
    for number in 0..3 {
        let photo = photos::jpeg(100, 80).with_comment(&format!("number {number}"));
        let mut request = Stated::Name.request(&project.id, &photo);
        request["gallery_id"] = json!(gallery_id);
        let link = project.key.post("/images", &request).await.expect(201).json();
        let before = project.refresh(&gallery_id).await;
        let page = project.public.get(&path).await.expect(200).json();
        assert_eq!(page["items"].as_array().map(Vec::len), Some(number), "nothing unfinished after {before}: {page}");
        expect_taken(send(through_link(&project.key, &link, &photo)).await);
        let image_id = id(&link, "image_id");
        project.key.post_nothing(&format!("/images/{image_id}/complete")).await.expect(202);
        wait_until_final(&project, &image_id).await;
        project.refresh(&gallery_id).await;
        uploaded.push(image_id);
    }
    let page = project.public.get(&path).await.expect(200).json();
    let shown: Vec<&str> =
        page["items"].as_array().expect("items").iter().filter_map(|i| i["image_id"].as_str()).collect();
    let newest_first: Vec<&str> = uploaded.iter().rev().map(String::as_str).collect();
    assert_eq!(shown, newest_first);

    let preview = format!("{path}/{}/preview", uploaded[2]);
    let preview = project.key.without_credential().get(&preview).await.expect(200);
    assert_eq!(Picture::decode(&preview.body).width, 100);
}
