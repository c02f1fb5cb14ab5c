//! HEIC and AVIF through the whole server: sent with any type, turned upright, served as JPEG.

use eyeline_e2e::photos::{Photo, Picture};
use eyeline_e2e::uploads::{Stated, id, upload, upload_until_done, wait_until_final};
use eyeline_e2e::{Project, Server, on_both_catalogs};
use serde_json::{Value, json};

on_both_catalogs!(heic_and_avif_become_jpeg);

const TURNED: &[u8] = include_bytes!("samples/quarters-turned-right.heic");
const UPRIGHT: &[u8] = include_bytes!("samples/quarters.avif");

/// The thumbnail, which must be a JPEG.
async fn thumb(project: &Project, image: &Value) -> Picture {
    let file = project.key.without_credential().get(&id(&image["versions"], "thumb")).await.expect(200);
    assert_eq!(file.header("content-type"), "image/jpeg");
    Picture::decode(&file.body)
}

async fn heic_and_avif_become_jpeg(server: Server) {
    let project = Project::create(&server, "heif").await;
    let limits = project.key.get("/limits").await.expect(200).json();
    let taken = limits["content_types"].as_array().expect("types").clone();
    for content_type in ["image/heic", "image/heif", "image/heic-sequence", "image/avif"] {
        assert!(taken.contains(&json!(content_type)), "{content_type} in {limits}");
    }
    for stated in [Stated::Name, Stated::SizeAndHash] {
        let photo = Photo::new("IMG_0001.HEIC", "image/heic", TURNED.to_vec());
        let image = upload_until_done(&project, stated, &photo).await;
        assert_eq!((&image["width"], &image["height"]), (&json!(64), &json!(96)), "{image}");
        thumb(&project, &image).await.expect_quarters_turned_right();
        let photo = Photo::new("picture.avif", "image/avif", UPRIGHT.to_vec());
        thumb(&project, &upload_until_done(&project, stated, &photo).await).await.expect_quarters_in_place();
    }
    let cut = Photo::new("cut.heic", "image/heic", TURNED.to_vec()).cut_to(TURNED.len() - 100);
    let image_id = upload(&project, Stated::SizeAndHash, &cut).await;
    assert_eq!(wait_until_final(&project, &image_id).await["error_code"], "truncated");
}
