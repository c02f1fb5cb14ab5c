//! The columns of an event in a lake file.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};

/// Columns by their index in a file. The names are for other programs that read the files. Old files stay: a new column
/// comes last and may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Column {
    ProjectId,
    Timestamp,
    Partition,
    Offset,
    SessionId,
    ReceivedAt,
    EventId,
    IdGiven,
    ApplicationId,
    VisitorId,
    Category,
    Name,
    Data,
    SchemaVersion,
    Place,
    Source,
}

impl Column {
    pub(crate) const ALL: [Column; 16] = [
        Column::ProjectId,
        Column::Timestamp,
        Column::Partition,
        Column::Offset,
        Column::SessionId,
        Column::ReceivedAt,
        Column::EventId,
        Column::IdGiven,
        Column::ApplicationId,
        Column::VisitorId,
        Column::Category,
        Column::Name,
        Column::Data,
        Column::SchemaVersion,
        Column::Place,
        Column::Source,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Column::ProjectId => "project_id",
            Column::Timestamp => "timestamp",
            Column::Partition => "partition",
            Column::Offset => "offset",
            Column::SessionId => "session_id",
            Column::ReceivedAt => "received_at",
            Column::EventId => "event_id",
            Column::IdGiven => "id_given",
            Column::ApplicationId => "application_id",
            Column::VisitorId => "visitor_id",
            Column::Category => "category",
            Column::Name => "name",
            Column::Data => "data",
            Column::SchemaVersion => "schema_version",
            Column::Place => "served_place",
            Column::Source => "source",
        }
    }

    pub(crate) fn field(self) -> Field {
        let words = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        match self {
            Column::ProjectId | Column::SessionId | Column::EventId | Column::ApplicationId => {
                Field::new(self.name(), DataType::FixedSizeBinary(16), false)
            }
            Column::Timestamp | Column::ReceivedAt => {
                Field::new(self.name(), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false)
            }
            Column::Partition => Field::new(self.name(), DataType::UInt32, false),
            Column::Offset => Field::new(self.name(), DataType::Int64, false),
            Column::IdGiven => Field::new(self.name(), DataType::Boolean, false),
            Column::VisitorId => Field::new(self.name(), DataType::Utf8, true),
            Column::Category | Column::Name => Field::new(self.name(), words(), false),
            Column::Data => Field::new(self.name(), DataType::Utf8, false),
            Column::SchemaVersion | Column::Place => Field::new(self.name(), DataType::UInt32, true),
            Column::Source => Field::new(self.name(), DataType::UInt64, true),
        }
    }
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(Column::ALL.map(Column::field).to_vec())));

pub(crate) fn schema() -> SchemaRef {
    SCHEMA.clone()
}

/// Rows of a row group, which one read fetches for each requested column.
pub(crate) const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Bytes of a row group in the file, which a reader of all columns has in memory at once. Short events take fewer.
const ROW_GROUP_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of a row group's rows in memory. `ROW_GROUP_ROWS` short events take fewer.
pub(crate) const UNPACKED_BYTES: usize = 48 * 1024 * 1024;

/// The Parquet settings of files. Sorted numbers are stored as small differences, ids byte by byte, because ids of one
/// time share their leading bytes. Statistics are stored where they let a reader skip row groups.
pub(crate) fn properties() -> Result<WriterProperties, parquet::errors::ParquetError> {
    let path = |column: Column| ColumnPath::from(column.name());
    let sorted = [Column::ProjectId, Column::Timestamp, Column::Partition, Column::Offset];
    let sorted =
        sorted.map(|column| SortingColumn { column_idx: column as i32, descending: false, nulls_first: false });
    let mut properties = WriterProperties::builder()
        .set_created_by("eyeline".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_sorting_columns(Some(sorted.to_vec()));
    for column in [Column::Timestamp, Column::ReceivedAt, Column::Offset] {
        properties = properties
            .set_column_dictionary_enabled(path(column), false)
            .set_column_encoding(path(column), Encoding::DELTA_BINARY_PACKED);
    }
    properties = properties
        .set_column_dictionary_enabled(path(Column::EventId), false)
        .set_column_encoding(path(Column::EventId), Encoding::BYTE_STREAM_SPLIT)
        .set_column_dictionary_enabled(path(Column::Data), false)
        // As many sessions as a row group can hold, so that each is written once.
        .set_column_dictionary_page_size_limit(path(Column::SessionId), 16 * ROW_GROUP_ROWS);
    for column in [Column::ProjectId, Column::Timestamp, Column::ReceivedAt, Column::Offset] {
        properties = properties.set_column_statistics_enabled(path(column), EnabledStatistics::Chunk);
    }
    Ok(properties.build())
}
