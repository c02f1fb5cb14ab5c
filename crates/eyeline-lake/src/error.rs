//! Errors of the lake.

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store of the files is unavailable. The same call may succeed later.
    #[error("the files of the lake cannot be read: {0}")]
    Away(#[from] object_store::Error),
    /// The query exceeds its budget. The sentence says how to reduce it.
    #[error("{0}")]
    TooMuch(String),
    /// Other queries use the server's memory for queries. The same query may succeed later.
    #[error("{0}")]
    Busy(String),
    /// The process that computed the answer could not start or was killed. The same query may succeed later.
    #[error("the process that answers queries stopped: {0}")]
    WorkerGone(std::io::Error),
    /// The query was cancelled, because its caller is gone.
    #[error("the question was cancelled")]
    Cancelled,
    /// The question is invalid. The sentence says where.
    #[error("{0}")]
    Refused(String),
    /// The SQL query is wrong. The sentence says why.
    #[error("{0}")]
    Query(String),
    /// A file does not read back as it was written.
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
