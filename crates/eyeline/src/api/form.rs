//! Forms with a file (`multipart/form-data`): some short fields, then the file.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::Error;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest as _, Multipart, Request};
use eyeline_core::FieldErrors;
use http::StatusCode;
use http_body::{Frame, SizeHint};

use super::{Answer, Problem, room};
use crate::app::App;
use crate::bodies::Room;
use crate::file_name;

/// Fields of a form before the file.
pub const FIELDS_MAX: usize = 20;
const FIELD_BYTES_MAX: usize = 8 * 1024;
/// The most bytes that are read of a form before its file begins.
pub const FORM_BYTES_MAX: u64 = 256 * 1024;
/// Characters of a field's name that an error repeats.
const NAME_CHARS_SHOWN: usize = 100;

/// A form that is being read. The part before the file is bounded and held in memory until it is parsed.
pub struct Form {
    fields: Multipart,
    progress: Arc<Progress>,
    room: Room,
}

#[derive(Default)]
struct Progress {
    file_begins: AtomicBool,
    is_too_long: AtomicBool,
}

impl Form {
    pub async fn of(request: Request, app: &App) -> Answer<Self> {
        let progress = Arc::new(Progress::default());
        let room = room::of(request.extensions());
        let request = request.map(|body| {
            let left = FORM_BYTES_MAX;
            Body::new(BeforeFile { body, left, pauses: false, progress: progress.clone() })
        });
        let fields = Multipart::from_request(request, app).await;
        let fields = fields.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
        Ok(Form { fields, progress, room })
    }

    /// The next field; `file` is the name of the field with the file. 413 if the form is too long before the file.
    pub async fn next_field(&mut self, file: &str) -> Answer<Option<Field<'_>>> {
        let field = self.fields.next_field().await.map_err(|error| {
            if !self.progress.is_too_long.load(Ordering::Relaxed) {
                return broken(error);
            }
            let detail = format!("Before the file, `{file}`, a form may have at most {FORM_BYTES_MAX} bytes.");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        })?;
        if field.as_ref().is_some_and(|field| field.name() == Some(file)) {
            self.progress.file_begins.store(true, Ordering::Relaxed);
            self.room.pass_on();
        }
        Ok(field)
    }
}

/// A body that yields at most `left` bytes until the file begins, and pauses after each piece. Without the pause the
/// parser would buffer everything that has arrived before it parses any of it.
struct BeforeFile {
    body: Body,
    left: u64,
    pauses: bool,
    progress: Arc<Progress>,
}

impl HttpBody for BeforeFile {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if std::mem::take(&mut self.pauses) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && !self.progress.file_begins.load(Ordering::Relaxed)
        {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            let Some(left) = self.left.checked_sub(bytes) else {
                self.progress.is_too_long.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(Error::new("a form that is too long before its file"))));
            };
            self.left = left;
        }
        self.pauses = true;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads a field that has no meaning here and returns its name. A file in such a field was meant for the field
/// `wanted`.
pub async fn skip(field: &mut Field<'_>, wanted: &str) -> Answer<String> {
    let name: String = field.name().unwrap_or_default().chars().take(NAME_CHARS_SHOWN).collect();
    if file_name::of_form_field(field.headers()).is_some() {
        let sentence = format!("The file has to be in this field, `{wanted}`; it came in the field `{name}`.");
        return Err(FieldErrors::one(wanted, sentence).into());
    }
    text(field).await?;
    Ok(name)
}

/// The form ended without the field `wanted`.
pub fn without_file(wanted: &str, others: &[String]) -> FieldErrors {
    let mut errors = FieldErrors::new();
    errors.required(wanted);
    if !others.is_empty() {
        let others = others.join("`, `");
        errors.add(
            wanted,
            format!("It holds the file and comes last; the form has `{others}`, which mean nothing here."),
        );
    }
    errors
}

pub async fn text(field: &mut Field<'_>) -> Answer<String> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(broken)? {
        if bytes.len() + piece.len() > FIELD_BYTES_MAX {
            let name = field.name().unwrap_or_default();
            let detail =
                format!("A field before the file may have at most {FIELD_BYTES_MAX} bytes; `{name}` has more.");
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "A field of the form is not UTF-8."))
}

fn broken(error: MultipartError) -> Problem {
    // What the framework reports as its own failure is a broken connection.
    let status = if error.status().is_server_error() { StatusCode::BAD_REQUEST } else { error.status() };
    Problem::new(status, format!("The form cannot be read: {}.", error.body_text()))
}
