//! Lists of a project's images.

use eyeline_store::catalog::images::ImageFilter;
use eyeline_store::catalog::uploads::NewImage;

use crate::engines::on_every_engine;
use crate::news::{PROJECT, at, new_image, with_projects};

#[tokio::test]
async fn images_are_found_by_a_part_of_their_name_in_either_case() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        let names = ["Red shoes.jpg", "50%_off.png", r"back\slash.gif", "Über.jpg"];
        for (number, filename) in (0u128..).zip(names) {
            let image = NewImage { filename: filename.to_owned(), ..new_image(number) };
            catalog.create_image(PROJECT, image, None, at(1), None).await.expect("an image");
        }
        for (part, found) in [
            ("SHOES", &[0][..]),
            ("0%_o", &[1]),
            ("%", &[1]),
            ("_", &[1]),
            (r"\", &[2]),
            (r"k\s", &[2]),
            ("Über", &[3]),
            (".jpg", &[3, 0]),
            ("boots", &[]),
        ] {
            let filter = ImageFilter { name: Some(part.to_owned()), ..ImageFilter::default() };
            let images = catalog.images(PROJECT, filter, None, 100).await.expect("images");
            let numbers: Vec<u128> = images.iter().map(|image| image.image_id.0.as_u128() - 1_000).collect();
            assert_eq!(numbers, found, "{part}");
        }
    })
    .await;
}
