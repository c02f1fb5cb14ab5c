//! Reads the event lake like an independent program: the list of files from the catalog's tables, and the files with
//! the Parquet library's plain row reader.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::RowAccessor as _;
use rusqlite::{Connection, OpenFlags};
use sqlx::Connection as _;
use uuid::Uuid;

use crate::server::Server;

/// The content of the files at one moment.
pub struct Lake {
    /// The number of times that each event occurs in listed files.
    pub events: HashMap<Uuid, u32>,
    /// Unlisted files with events that no listed file has: the process died before it added them.
    pub cut_off: usize,
    /// Files of the list.
    pub files: usize,
}

impl Lake {
    /// Reads everything. The server may run or not.
    pub async fn read(server: &Server) -> Self {
        let listed = List::read(server).await.keys;
        let objects = server.data().join("objects");
        let ids = tokio::task::spawn_blocking(move || {
            let mut events = HashMap::new();
            for id in listed.iter().flat_map(|key| ids(&objects.join(key))) {
                *events.entry(id).or_default() += 1;
            }
            let all: HashSet<String> = keys(&objects.join("lake"), &objects).into_iter().collect();
            let unlisted = all.iter().filter(|key| !listed.contains(*key));
            let is_cut_off = |key: &&String| ids(&objects.join(key)).iter().any(|id| !events.contains_key(id));
            Lake { cut_off: unlisted.filter(is_cut_off).count(), events, files: listed.len() }
        });
        ids.await.expect("the files of the lake")
    }

    /// Stops the server when it has written a file and not added it yet, so that it can be killed there.
    pub async fn pause_in_the_middle_of_a_file(server: &Server) {
        let objects = server.data().join("objects");
        let mut known: HashSet<String> = keys(&objects.join("lake"), &objects).into_iter().collect();
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let Some(new) = keys(&objects.join("lake"), &objects).into_iter().find(|key| !known.contains(key)) else {
                continue;
            };
            server.pause();
            if !List::read(server).await.keys.contains(&new) {
                return;
            }
            server.resume();
            known.insert(new);
        }
    }

    /// True once every applied event is in a file, or does not count.
    pub async fn has_everything_applied(server: &Server) -> bool {
        !List::read(server).await.is_waiting
    }
}

struct List {
    keys: BTreeSet<String>,
    /// True if an applied event is in no file yet.
    is_waiting: bool,
}

const KEYS: &str = "SELECT object_key FROM lake_files";
const IS_WAITING: &str = "SELECT applied > flushed FROM partitions WHERE partition = 0";

impl List {
    async fn read(server: &Server) -> Self {
        let Some(url) = server.database_url() else {
            // Read-only: closing the last connection must not clean up the state of a killed server.
            let path = server.data().join("catalog.sqlite");
            let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the catalog");
            let mut statement = database.prepare(KEYS).expect("a list of files");
            let keys = statement.query_map([], |row| row.get(0)).expect("files").collect::<Result<_, _>>();
            let is_waiting = database.query_row(IS_WAITING, [], |row| row.get(0)).unwrap_or(false);
            return List { keys: keys.expect("keys"), is_waiting };
        };
        let mut database = sqlx::PgConnection::connect(&url).await.expect("the catalog");
        let keys = sqlx::query_scalar(KEYS).fetch_all(&mut database).await.expect("a list of files");
        let is_waiting = sqlx::query_scalar(IS_WAITING).fetch_optional(&mut database).await.expect("the marks");
        List { keys: keys.into_iter().collect(), is_waiting: is_waiting.unwrap_or(false) }
    }
}

/// The ids of the events in a file.
fn ids(path: &Path) -> Vec<Uuid> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader = SerializedFileReader::new(file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let fields = reader.metadata().file_metadata().schema_descr().root_schema().get_fields();
    let column = fields.iter().position(|field| field.name() == "event_id").expect("a column of ids");
    let rows = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row"));
    rows.map(|row| Uuid::from_slice(row.get_bytes(column).expect("an id").data()).expect("16 bytes")).collect()
}

/// The files below a folder, by their names from `root` on.
fn keys(folder: &Path, root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path: PathBuf = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(keys(&path, root));
        } else {
            found.push(path.strip_prefix(root).expect("a path below").display().to_string());
        }
    }
    found
}
