//! Sends a file through its link, as the answer to `POST /images` describes.

use std::io;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use reqwest::header::CONTENT_LENGTH;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::api::{Answer, Api, send};
use crate::photos::Photo;
use crate::project::Project;

const CHUNK_BYTES: usize = 64 * 1024;
const FINAL_SECONDS_MAX: u64 = 60;

/// The client's statements about the file when it requests the link. They decide the form of the upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stated {
    /// Only its name: the file is a field of a form.
    Name,
    /// Also size and hash: a PUT of exactly these bytes.
    SizeAndHash,
}

impl Stated {
    /// The body of `POST /images`.
    pub fn request(self, project_id: &str, photo: &Photo) -> Value {
        let mut request = json!({"filename": photo.filename, "project_id": project_id});
        if self == Stated::SizeAndHash {
            request["content_type"] = json!(photo.content_type);
            request["size"] = json!(photo.bytes.len());
            request["sha256"] = json!(photo.sha256());
        }
        request
    }
}

/// The request that sends `photo` through `link`, an answer of `POST /images`. Sends no credential.
pub fn through_link(api: &Api, link: &Value, photo: &Photo) -> RequestBuilder {
    through_link_as(api, link, photo, Body::from(photo.bytes.to_vec()))
}

/// The same, one chunk of `CHUNK_BYTES` every `pause`, like a slow connection.
pub fn through_link_slowly(api: &Api, link: &Value, photo: &Photo, pause: Duration) -> RequestBuilder {
    let bytes = photo.bytes.clone();
    let chunks = stream::iter((0..bytes.len()).step_by(CHUNK_BYTES)).then(move |start| {
        let chunk = bytes[start..(start + CHUNK_BYTES).min(bytes.len())].to_vec();
        async move {
            tokio::time::sleep(pause).await;
            Ok::<_, io::Error>(chunk)
        }
    });
    through_link_as(api, link, photo, Body::wrap_stream(chunks))
}

/// The same for a connection that breaks shortly after half of the file was sent.
pub fn through_link_cut(api: &Api, link: &Value, photo: &Photo) -> RequestBuilder {
    let half = photo.bytes[..photo.bytes.len() / 2].to_vec();
    let breaks = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    let chunks = stream::once(async { Ok(half) }).chain(stream::once(breaks));
    through_link_as(api, link, photo, Body::wrap_stream(chunks))
}

fn through_link_as(api: &Api, link: &Value, photo: &Photo, body: Body) -> RequestBuilder {
    let api = api.without_credential();
    let url = link["upload_link"].as_str().unwrap_or_else(|| panic!("an upload_link in {link}"));
    let params = &link["params"];
    let request = match params["method"].as_str() {
        Some("PUT") => api.request(Method::PUT, url).header(CONTENT_LENGTH, photo.bytes.len()).body(body),
        Some("POST") => {
            let form = strings(&params["fields"])
                .fold(Form::new(), |form, (name, value)| form.text(name.to_owned(), value.to_owned()));
            let file = Part::stream_with_length(body, photo.bytes.len() as u64)
                .file_name(photo.filename.clone())
                .mime_str(photo.content_type)
                .expect("a content type");
            api.request(Method::POST, url).multipart(form.part("file", file))
        }
        other => panic!("the method of an upload is {other:?} in {link}"),
    };
    strings(&params["headers"]).fold(request, |request, (name, value)| request.header(name, value))
}

fn strings(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    let entries = object.as_object().into_iter().flatten();
    entries.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_else(|| panic!("{name} is no text"))))
}

/// Requests a link.
pub async fn ask(project: &Project, stated: Stated, photo: &Photo) -> Value {
    project.key.post("/images", &stated.request(&project.id, photo)).await.expect(201).json()
}

/// Requests a link, sends the file and completes the upload. Returns the image's id.
pub async fn upload(project: &Project, stated: Stated, photo: &Photo) -> String {
    let link = ask(project, stated, photo).await;
    expect_taken(send(through_link(&project.key, &link, photo)).await);
    let image_id = id(&link, "image_id");
    project.key.post_nothing(&format!("/images/{image_id}/complete")).await.expect(202);
    image_id
}

/// A successful upload answers 200, 201 or 204, as with S3.
#[track_caller]
pub fn expect_taken(answer: Answer) {
    assert!(matches!(answer.status, 200 | 201 | 204), "an upload that is taken: {answer}");
}

/// The image, once its state is final.
pub async fn wait_until_final(project: &Project, image_id: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(FINAL_SECONDS_MAX);
    loop {
        let image = project.key.get(&format!("/images/{image_id}")).await.expect(200).json();
        if matches!(image["state"].as_str(), Some("done" | "error")) {
            return image;
        }
        assert!(Instant::now() < deadline, "not final after {FINAL_SECONDS_MAX} s: {image}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Uploads and waits until the image is `done`; returns it.
pub async fn upload_until_done(project: &Project, stated: Stated, photo: &Photo) -> Value {
    let image_id = upload(project, stated, photo).await;
    let image = wait_until_final(project, &image_id).await;
    assert_eq!(image["state"], "done", "{image}");
    image
}

/// A field that must be a text.
#[track_caller]
pub fn id(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_else(|| panic!("{field} in {object}")).to_owned()
}
