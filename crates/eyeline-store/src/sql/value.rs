//! Values of statements and rows, the same for both dialects.

use eyeline_core::event::OnInvalid;
use eyeline_core::{
    ApplicationId, ErasureId, EventId, GalleryId, ImageErrorCode, ImageId, ImageState, JobId, OrderId, ProjectId,
    SessionId, Strategy, Tier, Timestamp, Visibility,
};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::inbox::Offset;

/// The type of a value. PostgreSQL needs it even for a NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    Real,
    Text,
    Bytes,
    Id,
    Bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null(Kind),
    Int(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
    Id(Uuid),
    Bool(bool),
}

/// A Rust type that a column can hold.
pub trait Column: Sized {
    const KIND: Kind;

    fn into_value(self) -> Value;

    /// `None` if the value has another type or shape.
    fn from_value(value: Value) -> Option<Self>;
}

impl<T: Column> From<T> for Value {
    fn from(value: T) -> Self {
        value.into_value()
    }
}

impl<T: Column> Column for Option<T> {
    const KIND: Kind = T::KIND;

    fn into_value(self) -> Value {
        self.map_or(Value::Null(T::KIND), T::into_value)
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null(_) => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl Column for i64 {
    const KIND: Kind = Kind::Int;

    fn into_value(self) -> Value {
        Value::Int(self)
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Int(value) => Some(value),
            _ => None,
        }
    }
}

impl Column for Offset {
    const KIND: Kind = Kind::Int;

    fn into_value(self) -> Value {
        Value::Int(self.number())
    }

    fn from_value(value: Value) -> Option<Self> {
        i64::from_value(value).map(Offset::from_number)
    }
}

impl Column for f64 {
    const KIND: Kind = Kind::Real;

    fn into_value(self) -> Value {
        Value::Real(self)
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Real(value) => Some(value),
            _ => None,
        }
    }
}

impl Column for bool {
    const KIND: Kind = Kind::Bool;

    fn into_value(self) -> Value {
        Value::Bool(self)
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(value),
            // SQLite stores booleans as 0 and 1.
            Value::Int(value) => Some(value != 0),
            _ => None,
        }
    }
}

impl Column for String {
    const KIND: Kind = Kind::Text;

    fn into_value(self) -> Value {
        Value::Text(self)
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl Column for Vec<u8> {
    const KIND: Kind = Kind::Bytes;

    fn into_value(self) -> Value {
        Value::Bytes(self)
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Bytes(value) => Some(value),
            _ => None,
        }
    }
}

impl Column for [u8; 32] {
    const KIND: Kind = Kind::Bytes;

    fn into_value(self) -> Value {
        Value::Bytes(self.to_vec())
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Bytes(value) => value.try_into().ok(),
            _ => None,
        }
    }
}

impl Column for Uuid {
    const KIND: Kind = Kind::Id;

    fn into_value(self) -> Value {
        Value::Id(self)
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Id(value) => Some(value),
            // SQLite stores ids as 16-byte blobs.
            Value::Bytes(value) => Uuid::from_slice(&value).ok(),
            _ => None,
        }
    }
}

/// Numbers that are never negative and far below 2^63: counts, sizes, pixels.
macro_rules! unsigned_columns {
    ($($type:ty),*) => {$(
        impl Column for $type {
            const KIND: Kind = Kind::Int;

            fn into_value(self) -> Value {
                Value::Int(i64::try_from(self).unwrap_or(i64::MAX))
            }

            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::Int(value) => Self::try_from(value).ok(),
                    _ => None,
                }
            }
        }
    )*};
}

unsigned_columns!(u64, u32, u16, u8);

macro_rules! id_columns {
    ($($type:ident),*) => {$(
        impl Column for $type {
            const KIND: Kind = Kind::Id;

            fn into_value(self) -> Value {
                Value::Id(self.0)
            }

            fn from_value(value: Value) -> Option<Self> {
                Uuid::from_value(value).map($type)
            }
        }
    )*};
}

id_columns!(ProjectId, ApplicationId, ImageId, GalleryId, EventId, SessionId, JobId, OrderId, ErasureId);

macro_rules! word_columns {
    ($($type:ident),*) => {$(
        impl Column for $type {
            const KIND: Kind = Kind::Text;

            fn into_value(self) -> Value {
                Value::Text(self.as_str().to_owned())
            }

            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::Text(value) => $type::parse(&value),
                    _ => None,
                }
            }
        }
    )*};
}

word_columns!(ImageErrorCode, ImageState, OnInvalid, Strategy, Tier, Visibility);

impl Column for Timestamp {
    const KIND: Kind = Kind::Int;

    fn into_value(self) -> Value {
        Value::Int(self.micros())
    }

    fn from_value(value: Value) -> Option<Self> {
        i64::from_value(value).map(Timestamp::from_micros)
    }
}

/// One row of an answer. Each column is taken by name, once.
#[derive(Clone, Debug)]
pub struct Row {
    columns: std::sync::Arc<[String]>,
    values: Vec<Value>,
    /// The index after the column taken last, where most searches succeed.
    next: usize,
}

impl Row {
    pub(crate) fn new(columns: std::sync::Arc<[String]>, values: Vec<Value>) -> Self {
        Row { columns, values, next: 0 }
    }

    /// Moves the column out of the row: taking it again gives NULL.
    pub fn take<T: Column>(&mut self, column: &str) -> Result<T> {
        let index = (self.next..self.columns.len())
            .chain(0..self.next)
            .find(|index| self.columns[*index] == column)
            .ok_or_else(|| Error::Corrupt(format!("the answer has no column {column}")))?;
        self.next = index + 1;
        let value = std::mem::replace(&mut self.values[index], Value::Null(T::KIND));
        T::from_value(value).ok_or_else(|| Error::Corrupt(format!("column {column} holds another type or shape")))
    }
}

/// The bound values of a statement, `$1` first.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::Value::from($value)),*] };
}
