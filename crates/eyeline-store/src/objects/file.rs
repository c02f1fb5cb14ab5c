//! Objects in a local folder. A file is synced before it gets its name, and the folder after that. A name that is
//! visible after a power cut therefore has all its bytes.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use eyeline_core::Timestamp;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::engine::{Engine, Writing};
use super::parts::{PartUpload, StoredPart};
use super::{Area, Head, Listed, ObjectKey, Reading};
use crate::error::{Error, Result};

/// Files being written, before they get a name. Emptied when the folder is opened.
const TEMPORARY: &str = "tmp";
/// Bytes of one piece of an object being read.
const PIECE_BYTES: u64 = 64 * 1024;
/// Listed objects that wait to be taken.
const LISTED_MAX: usize = 1_024;
/// The id of every upload in parts: its folder identifies it.
const PARTS_ID: &str = "folder";
/// Files that are joined from parts concurrently. Further ones wait.
const JOINS_MAX: usize = 2;

pub(super) struct Folder {
    root: PathBuf,
    /// Distinguishes the temporary files of this process from those of another.
    temporary_prefix: String,
    temporary_count: AtomicU64,
    joins: Semaphore,
}

/// A file without a key, deleted on drop.
struct Temporary {
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // A file that was kept, or cannot be deleted, is cleared at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

/// A file being written.
struct FileWriting {
    file: Arc<File>,
    temporary: Temporary,
    /// The path of its key.
    path: PathBuf,
}

impl Folder {
    /// Opens the folder. It belongs to one process at a time.
    pub(super) async fn open(root: PathBuf) -> Result<Self> {
        blocking(move || {
            let temporary = root.join(TEMPORARY);
            match fs::remove_dir_all(&temporary) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fs::create_dir_all(&temporary)?;
            for area in Area::ALL {
                fs::create_dir_all(root.join(area.as_str()))?;
            }
            sync_folder(&root)?;
            Ok(Folder::new(root, String::new()))
        })
        .await
    }

    /// Opens the folder of another process, which may be running. `None` if it was never opened.
    pub(super) async fn attach(root: PathBuf) -> Result<Option<Self>> {
        blocking(move || {
            if found(fs::metadata(root.join(TEMPORARY)))?.is_none() {
                return Ok(None);
            }
            let temporary_prefix = format!("beside-{}-", std::process::id());
            Ok(Some(Folder::new(root, temporary_prefix)))
        })
        .await
    }

    fn new(root: PathBuf, temporary_prefix: String) -> Self {
        let (temporary_count, joins) = (AtomicU64::default(), Semaphore::new(JOINS_MAX));
        Folder { root, temporary_prefix, temporary_count, joins }
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn temporary(&self) -> Temporary {
        let number = self.temporary_count.fetch_add(1, Ordering::Relaxed);
        Temporary { path: self.root.join(TEMPORARY).join(format!("{}{number}", self.temporary_prefix)) }
    }
}

#[async_trait]
impl Engine for Folder {
    fn reader(&self) -> Result<Arc<dyn ObjectStore>> {
        let reader = LocalFileSystem::new_with_prefix(&self.root);
        Ok(Arc::new(reader.map_err(|error| Error::internal("opening the folder of the objects", error))?))
    }

    async fn ping(&self) -> Result<()> {
        let path = self.root.join(TEMPORARY);
        blocking(move || fs::metadata(path).map(drop)).await
    }

    async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<()> {
        let (temporary, path) = (self.temporary(), self.path(key));
        blocking(move || {
            write_synced(&temporary.path, &bytes)?;
            make_parent(&path)?;
            fs::rename(&temporary.path, &path)?;
            sync_parent(&path)
        })
        .await
    }

    async fn put_folder(&self, folder: &ObjectKey, objects: Vec<(String, Bytes)>) -> Result<()> {
        let (temporary, path) = (self.temporary().path.clone(), self.path(folder));
        blocking(move || {
            let written = write_folder(&temporary, &path, &objects);
            if written.is_err() {
                // An incomplete folder is deleted, at the next start if not now.
                let _ = fs::remove_dir_all(&temporary);
            }
            written
        })
        .await
    }

    async fn begin(&self, key: &ObjectKey) -> Result<Box<dyn Writing>> {
        let (temporary, path) = (self.temporary(), self.path(key));
        let writing = blocking(move || {
            let file = Arc::new(File::create_new(&temporary.path)?);
            Ok(FileWriting { file, temporary, path })
        });
        Ok(Box::new(writing.await?))
    }

    async fn begin_parts(&self, _to: &ObjectKey) -> Result<String> {
        Ok(PARTS_ID.to_owned())
    }

    async fn parts(&self, upload: &PartUpload) -> Result<Option<Vec<StoredPart>>> {
        if upload.id != PARTS_ID {
            return Ok(None);
        }
        let path = self.path(&upload.incoming);
        blocking(move || {
            let Some(entries) = found(fs::read_dir(path))? else { return Ok(Some(Vec::new())) };
            let mut parts = Vec::new();
            for entry in entries {
                let entry = entry?;
                let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
                if let Some(metadata) = found(entry.metadata())? {
                    parts.push(StoredPart { number, bytes: metadata.len(), tag: String::new() });
                }
            }
            Ok(Some(parts))
        })
        .await
    }

    async fn join_parts(&self, upload: &PartUpload, parts: &[StoredPart]) -> Result<bool> {
        let turn = self.joins.acquire().await.map_err(|closed| Error::internal("joining parts", closed))?;
        let (temporary, to) = (self.temporary(), self.path(&upload.to));
        let parts: Vec<PathBuf> = parts.iter().map(|part| self.path(&upload.incoming.part(part.number))).collect();
        let joined = blocking(move || join(&temporary.path, &parts, &to)).await;
        drop(turn);
        joined
    }

    async fn abort_parts(&self, upload: &PartUpload) -> Result<()> {
        self.delete(&upload.incoming).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>> {
        let path = self.path(key);
        blocking(move || found(fs::read(path).map(Bytes::from))).await
    }

    async fn read(&self, key: &ObjectKey, range: Option<Range<u64>>) -> Result<Option<Reading>> {
        let path = self.path(key);
        let opened = blocking(move || {
            let Some(mut file) = found(File::open(path))? else { return Ok(None) };
            let metadata = file.metadata()?;
            // The parts of an upload are in a folder, which is no object.
            if !metadata.is_file() {
                return Ok(None);
            }
            let bytes_total = metadata.len();
            let range = range.unwrap_or(0..bytes_total);
            let (start, end) = (range.start.min(bytes_total), range.end.min(bytes_total));
            if start > 0 {
                file.seek(SeekFrom::Start(start))?;
            }
            let mut left = end.saturating_sub(start);
            // Most versions have one or two pieces. Opening also reads the first one, which saves them a second thread
            // hop.
            let first = read_piece(&mut file, &mut left)?;
            Ok(Some((bytes_total, first, file, left)))
        });
        let Some((bytes_total, first, file, left)) = opened.await? else { return Ok(None) };
        let rest = stream::try_unfold((file, left), |(mut file, mut left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let read = tokio::task::spawn_blocking(move || {
                let piece = read_piece(&mut file, &mut left)?;
                Ok::<_, io::Error>((piece, file, left))
            });
            let (piece, file, left) = read.await.map_err(io::Error::other)??;
            Ok(Some((piece, (file, left))))
        });
        let stream = stream::once(async { Ok(first) }).chain(rest).map_ok(Bytes::from).boxed();
        Ok(Some(Reading { bytes_total, stream }))
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<Head>> {
        let path = self.path(key);
        blocking(move || {
            // The parts of an upload are in a folder, which is no object.
            let file = found(fs::metadata(path))?.filter(fs::Metadata::is_file);
            Ok(file.map(|metadata| Head { bytes: metadata.len() }))
        })
        .await
    }

    async fn is_open(&self, _key: &ObjectKey) -> Result<bool> {
        Ok(false)
    }

    async fn refused_to_pages(&self, _origin: &str) -> Result<Vec<&'static str>> {
        // Links lead to the server itself, which answers browsers.
        Ok(Vec::new())
    }

    async fn let_pages(&self, _origin: &str) -> Result<()> {
        Ok(())
    }

    /// Makes a hard link. No file is changed in place, so both names keep the same bytes.
    async fn copy(&self, from: &ObjectKey, to: &ObjectKey) -> Result<bool> {
        let (from, to) = (self.path(from), self.path(to));
        blocking(move || {
            make_parent(&to)?;
            if found(fs::hard_link(from, &to))?.is_none() {
                return Ok(false);
            }
            sync_parent(&to)?;
            Ok(true)
        })
        .await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        let path = self.path(key);
        let is_original = key.area() == Area::Originals;
        blocking(move || {
            let Some(metadata) = found(fs::metadata(&path))? else { return Ok(()) };
            if metadata.is_dir() {
                return found(fs::remove_dir_all(&path)).map(drop);
            }
            found(fs::remove_file(&path))?;
            if is_original && let Some(folder) = path.parent() {
                // Fails while the image has another original.
                let _ = fs::remove_dir(folder);
            }
            Ok(())
        })
        .await
    }

    fn list(&self, area: Area) -> BoxStream<'static, Result<Listed>> {
        let (listed, taken) = mpsc::channel(LISTED_MAX);
        let folder = self.root.join(area.as_str());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = list_area(&folder, area, &mut |object| listed.blocking_send(Ok(object)).is_ok()) {
                // The taker may be gone.
                let _ = listed.blocking_send(Err(failure(error)));
            }
        });
        ReceiverStream::new(taken).boxed()
    }
}

#[async_trait]
impl Writing for FileWriting {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let file = self.file.clone();
        blocking(move || (&*file).write_all(&bytes)).await
    }

    async fn finish(&mut self) -> Result<()> {
        let file = self.file.clone();
        blocking(move || file.sync_all()).await
    }

    async fn keep(self: Box<Self>) -> Result<bool> {
        blocking(move || {
            make_parent(&self.path)?;
            link_new(&self.temporary.path, &self.path)
        })
        .await
    }
}

/// Hands on the objects of an area until `take` returns false. Skips files whose names are not those of objects.
fn list_area(root: &Path, area: Area, take: &mut dyn FnMut(Listed) -> bool) -> io::Result<()> {
    let mut take = |name: String, since: SystemTime, bytes: u64| {
        let key = ObjectKey::parse(&format!("{}/{name}", area.as_str()));
        let since = Timestamp::from_micros(0).plus(since.duration_since(UNIX_EPOCH).unwrap_or_default());
        key.is_none_or(|key| take(Listed { key, bytes, since }))
    };
    for entry in found(fs::read_dir(root))?.into_iter().flatten() {
        let entry = entry?;
        let Some(about) = found(entry.metadata())? else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        if !about.is_dir() {
            if about.is_file() && !take(name, about.modified()?, about.len()) {
                return Ok(());
            }
            continue;
        }
        // A copy is a link, which keeps the time of its file: then the folder has the time of the copy.
        let copied = if area == Area::Lake { UNIX_EPOCH } else { about.modified()? };
        for inner in found(fs::read_dir(entry.path()))?.into_iter().flatten() {
            let inner = inner?;
            let Some(about) = found(inner.metadata())?.filter(fs::Metadata::is_file) else { continue };
            let name = format!("{name}/{}", inner.file_name().to_string_lossy());
            if !take(name, about.modified()?.max(copied), about.len()) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Writes the file `to` from its parts, unless it exists. False if a part is missing.
fn join(temporary: &Path, parts: &[PathBuf], to: &Path) -> io::Result<bool> {
    if found(fs::metadata(to))?.is_some() {
        return Ok(true);
    }
    let mut whole = File::create_new(temporary)?;
    for part in parts {
        let Some(mut part) = found(File::open(part))? else { return Ok(false) };
        io::copy(&mut part, &mut whole)?;
    }
    whole.sync_all()?;
    make_parent(to)?;
    link_new(temporary, to)?;
    Ok(true)
}

/// Gives the file its name, which lasts. False if that name exists.
fn link_new(temporary: &Path, path: &Path) -> io::Result<bool> {
    // A link fails if the name exists; a rename would replace it.
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        linked => linked?,
    }
    sync_parent(path)?;
    Ok(true)
}

fn write_folder(temporary: &Path, path: &Path, objects: &[(String, Bytes)]) -> io::Result<()> {
    fs::create_dir(temporary)?;
    for (name, bytes) in objects {
        write_synced(&temporary.join(name), bytes)?;
    }
    sync_folder(temporary)?;
    fs::rename(temporary, path)?;
    sync_parent(path)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn read_piece(file: &mut File, left: &mut u64) -> io::Result<Vec<u8>> {
    let length = (*left).min(PIECE_BYTES);
    let mut piece = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    let read = file.take(length).read_to_end(&mut piece)? as u64;
    if read < length {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "the object is shorter than it was"));
    }
    *left -= read;
    Ok(piece)
}

fn make_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    match fs::create_dir(parent) {
        Ok(()) => sync_parent(parent),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// `None` if it does not exist.
fn found<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let outcome = tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal("objects", error))?;
    outcome.map_err(failure)
}

fn failure(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::unavailable("the disk of the objects is full"),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Error::unavailable(format!("the folder of the objects cannot be used: {error}"))
        }
        _ if error.raw_os_error() == Some(EIO) => Error::unavailable(format!("the disk of the objects fails: {error}")),
        _ => Error::internal("objects", error),
    }
}

/// "Input/output error" on Linux and macOS.
const EIO: i32 = 5;
