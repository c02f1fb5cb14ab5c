//! What can go wrong in the lake.

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store of the files is away; the same call may succeed later.
    #[error("the files of the lake cannot be read: {0}")]
    Away(#[from] object_store::Error),
    /// The question needs more than it may use; the sentence says what would help.
    #[error("{0}")]
    TooMuch(String),
    /// The process that computed the answer was not there or was ended from outside; the same question may be answered later.
    #[error("the process that answers queries stopped: {0}")]
    WorkerGone(std::io::Error),
    /// Nobody waits for the answer any more.
    #[error("the question was cancelled")]
    Cancelled,
    /// The question itself is wrong; the sentence says where.
    #[error("{0}")]
    Refused(String),
    /// What is wrong with a query in SQL, as a sentence.
    #[error("{0}")]
    Query(String),
    /// A file does not read back as what was written.
    #[error("a file of the lake is broken: {0}")]
    Broken(String),
    #[error("writing to the lake failed: {0}")]
    Write(#[from] std::io::Error),
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Error::Broken(error.to_string())
    }
}

impl From<arrow_schema::ArrowError> for Error {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Error::Broken(error.to_string())
    }
}
