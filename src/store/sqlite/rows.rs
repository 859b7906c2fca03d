//! Rows of SQLite as values of the contract.

use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, Row, params};

use super::fault::Fault;
use crate::clock::Timestamp;
use crate::id::{OrderId, OrderKey, TenantId};
use crate::store::{Brief, Bytes, Columns, Damaged, Error, Hash, Incarnation, Owner, Stored};

/// What [`brief`] reads, in its order.
macro_rules! brief_columns {
    () => {
        "o.tenant, o.id, o.version, p.name, p.version, p.fingerprint, o.phase, o.open, o.parked, \
         o.captured, o.reserved, o.refunded, o.overdrawn, o.wake_at, o.placed_at, o.updated_at, \
         o.owner, o.epoch"
    };
}

/// What [`brief`] reads.
pub(super) const BRIEF: &str =
    concat!("SELECT ", brief_columns!(), " FROM orders o LEFT JOIN pipelines p ON p.pid = o.pid");

/// What [`stored`] reads, before [`STORED_PARTS`].
pub(super) const STORED: &str =
    concat!("SELECT ", brief_columns!(), ", o.head, o.progress, d.body, o.no FROM orders o");

/// Outer joins, since a missing part is damage and not a missing order.
pub(super) const STORED_PARTS: &str = "LEFT JOIN pipelines p ON p.pid = o.pid \
     LEFT JOIN documents d ON d.no = o.no";

/// Where [`STORED`] has the owner's epoch.
pub(super) const STORED_EPOCH: usize = 17;

/// Where [`STORED`] has the number of the order within the file.
pub(super) const STORED_NO: usize = 21;

pub(super) fn key(tenant: &str, id: &str) -> Result<OrderKey, Error> {
    match (TenantId::try_from(tenant), OrderId::try_from(id)) {
        (Ok(tenant), Ok(order)) => Ok(OrderKey { tenant, order }),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => {
            Err(Error::corrupt(format!("{tenant:?}/{id:?} is no name of an order")))
        }
    }
}

pub(super) fn brief(row: &Row<'_>) -> Result<Brief, Fault> {
    let order = key(text(row, 0)?, text(row, 1)?)?;
    let columns = Columns {
        pipeline: row.get(3)?,
        pipeline_version: row.get(4)?,
        fingerprint: unsigned(row, 5)?,
        phase: row.get(6)?,
        open: row.get(7)?,
        parked: row.get(8)?,
        captured_minor: row.get(9)?,
        reserved_minor: row.get(10)?,
        refunded_minor: row.get(11)?,
        overdrawn: row.get(12)?,
        wake_at: row.get::<_, Option<i64>>(13)?.map(Timestamp::from_millis),
        placed_at: Timestamp::from_millis(row.get(14)?),
        updated_at: Timestamp::from_millis(row.get(15)?),
    };
    let epoch: i64 = row.get(17)?;
    if epoch == i64::MAX {
        return Err(Error::corrupt(format!("{order}: its owner's epoch is at its end")).into());
    }
    let owner = owner(row.get(16)?, epoch);
    Ok(Brief { order, version: unsigned(row, 2)?, columns, owner })
}

/// The name of an order whose row cannot be read, and why; the fault itself where it is not the row's.
pub(super) fn damaged(row: &Row<'_>, fault: Fault) -> Result<Damaged, Fault> {
    let why = match fault {
        Fault::Sql(error) if error.sqlite_error_code().is_none() => error.to_string(),
        Fault::Answer(Error::Corrupt { what }) => what,
        fault @ (Fault::Sql(_) | Fault::Answer(_) | Fault::Refuse(_)) => return Err(fault),
    };
    let part = |column| text(row, column).unwrap_or("?");
    Ok(Damaged { order: format!("{}/{}", part(0), part(1)), why })
}

pub(super) fn stored(row: &Row<'_>) -> Result<Stored, Fault> {
    let Brief { order, version, columns, owner } = brief(row)?;
    Ok(Stored {
        order,
        version,
        columns,
        owner,
        head: hash(row, 18)?,
        progress: bytes(row, 19)?,
        document: bytes(row, 20)?,
    })
}

/// One order as it stands.
pub(super) fn load(connection: &Connection, order: &OrderKey) -> Result<Option<Stored>, Fault> {
    let mut find =
        connection.prepare_cached(&format!("{STORED} {STORED_PARTS} WHERE o.tenant = ?1 AND o.id = ?2"))?;
    let mut rows = find.query(params![order.tenant.as_str(), order.order.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    match stored(row) {
        Ok(stored) => Ok(Some(stored)),
        Err(Fault::Sql(error)) => Err(Error::corrupt(format!("{order}: {error}")).into()),
        Err(fault) => Err(fault),
    }
}

/// Incarnations begin at one, so zero says that nobody owns the order.
pub(super) fn owner(incarnation: i64, epoch: i64) -> Option<Owner> {
    (incarnation != 0).then(|| Owner {
        incarnation: Incarnation(incarnation.cast_unsigned()),
        epoch: epoch.cast_unsigned(),
    })
}

pub(super) fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<Hash> {
    row.get(column).map(Hash)
}

pub(super) fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    row.get::<_, Blob>(column).map(|blob| blob.0)
}

pub(super) fn text<'row>(row: &'row Row<'_>, column: usize) -> rusqlite::Result<&'row str> {
    Ok(row.get_ref(column)?.as_str()?)
}

/// All 64 bits, as [`u64::cast_signed`] kept them.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

struct Blob(Bytes);

impl FromSql for Blob {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) => Ok(Self(Arc::from(bytes))),
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) => {
                Err(FromSqlError::InvalidType)
            }
        }
    }
}
