//! Batches of rows for a worker: each scan of the table is an Arrow stream, split into pieces of one batch.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::ipc::reader::StreamDecoder;
use datafusion::arrow::ipc::writer::StreamWriter;

use crate::error::{Error, Result};
use crate::sql::{EventSource, ProjectEvents, Rows, ScanRequest};

/// One batch.
pub(super) struct Piece {
    pub rows: usize,
    /// Empty if the batch has no columns.
    pub stream: Vec<u8>,
}

/// The server's side of a scan.
pub(super) struct Outgoing {
    rows: Rows,
    writer: Option<StreamWriter<Vec<u8>>>,
    /// The next piece, if it was prepared.
    ready: Option<Result<Option<Piece>>>,
}

impl Outgoing {
    pub(super) fn open(events: &ProjectEvents, request: &ScanRequest) -> Result<Self> {
        Ok(Outgoing { rows: events.open(request)?, writer: None, ready: None })
    }

    /// Prepares the next piece while the worker computes.
    pub(super) fn prepare(&mut self) {
        if self.ready.is_none() {
            self.ready = Some(self.read());
        }
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Piece>> {
        self.ready.take().unwrap_or_else(|| self.read())
    }

    fn read(&mut self) -> Result<Option<Piece>> {
        let Some(batch) = (self.rows)()? else { return Ok(None) };
        let rows = batch.num_rows();
        if batch.num_columns() == 0 {
            return Ok(Some(Piece { rows, stream: Vec::new() }));
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(StreamWriter::try_new(Vec::new(), batch.schema_ref())?),
        };
        writer.write(&batch)?;
        Ok(Some(Piece { rows, stream: std::mem::take(writer.get_mut()) }))
    }
}

/// The worker's side of a scan.
#[derive(Default)]
pub(super) struct Incoming(StreamDecoder);

impl Incoming {
    /// The batch in the next piece.
    pub(super) fn read(&mut self, piece: Piece) -> Result<RecordBatch> {
        let Piece { rows, stream } = piece;
        if stream.is_empty() {
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            return Ok(RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?);
        }
        let mut stream = Buffer::from_vec(stream);
        self.0.decode(&mut stream)?.ok_or_else(|| Error::Broken("a piece of a stream has no batch".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, DictionaryArray, StringArray};

    use super::*;

    #[test]
    fn batches_come_out_as_they_went_in_with_other_words_and_without_columns() {
        let words =
            |words: &[&str]| -> ArrayRef { Arc::new(words.iter().copied().collect::<DictionaryArray<Int32Type>>()) };
        let batch = |name: &str, kinds: &[&str]| {
            let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(name), None]));
            RecordBatch::try_from_iter_with_nullable([("text", texts, true), ("words", words(kinds), false)])
                .expect("a batch")
        };
        let without = RecordBatch::try_new_with_options(
            Arc::new(Schema::empty()),
            Vec::new(),
            &RecordBatchOptions::new().with_row_count(Some(7)),
        );
        let with_columns = vec![batch("a", &["x", "y"]), batch("b", &["z", "x"]), batch("c", &["x", "y"]).slice(1, 1)];
        for batches in [with_columns, vec![without.expect("a batch")]] {
            let mut left = batches.clone().into_iter();
            let mut outgoing = Outgoing { rows: Box::new(move || Ok(left.next())), writer: None, ready: None };
            let mut incoming = Incoming::default();
            for batch in batches {
                outgoing.prepare();
                let piece = outgoing.next().expect("a piece").expect("not the end");
                assert_eq!(incoming.read(piece).expect("a batch"), batch);
            }
            assert!(outgoing.next().expect("the end").is_none());
        }
    }
}
