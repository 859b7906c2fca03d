//! Reads orders from a folder of tables and applies the mapping's rules to them.
//!
//! The folder holds `orders`, `order_items` and `order_payments`, each as `NAME.csv.gz` or
//! `NAME.csv`. What comes out is what happened, not what the engine should do about it: the total
//! of a purchase is what was paid for it, and the lines are made to agree.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use csv::StringRecord;
use flate2::read::MultiGzDecoder;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// One order of the data, after the mapping's rules.
///
/// Amounts are minor units of BRL; times are milliseconds since 1970, UTC as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Purchase {
    /// The order's id in the data.
    pub id: String,
    /// How the order ends.
    pub status: Status,
    /// When it was placed.
    pub purchased_ms: i64,
    /// When its payment was approved; `None` leaves the order waiting.
    pub approved_ms: Option<i64>,
    /// When its parcels were handed to the carrier.
    pub carrier_ms: Option<i64>,
    /// When its parcels reached the customer.
    pub customer_ms: Option<i64>,
    /// When delivery was promised.
    pub estimate_ms: i64,
    /// The data lacks the carrier time of this delivered order; the estimate stands in for it.
    pub assumed_carrier: bool,
    /// The data lacks the customer time of this delivered order; the estimate stands in for it.
    pub assumed_customer: bool,
    /// At least one line, in the order of their item numbers.
    pub lines: Vec<Line>,
    /// The payment rows worth more than nothing, by their sequence numbers.
    pub tenders: Vec<Tender>,
    /// Payment rows of 0.00, which are counted and skipped.
    pub zero_tenders: u32,
    /// The sum of the tenders.
    pub total_minor: i64,
    /// What makes the lines agree with the total; negative where less was paid.
    pub adjustment_minor: i64,
}

impl Purchase {
    /// The distinct sellers, in the order of their first lines: one parcel each, never none.
    pub(crate) fn sellers(&self) -> Vec<&str> {
        let mut sellers: Vec<&str> = Vec::new();
        for line in &self.lines {
            if !sellers.contains(&line.seller.as_str()) {
                sellers.push(&line.seller);
            }
        }
        sellers
    }
}

/// How an order of the data ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// It reached the customer and stayed there.
    Delivered,
    /// It is with the carrier.
    Shipped,
    /// The stock answered short.
    Unavailable,
    /// A cancellation was asked.
    Canceled,
    /// Paid and not handed over: `approved`, `processing` and `invoiced` in the data.
    Approved,
    /// Placed and not paid.
    Created,
}

impl Status {
    /// The data's word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Shipped => "shipped",
            Self::Unavailable => "unavailable",
            Self::Canceled => "canceled",
            Self::Approved => "approved",
            Self::Created => "created",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "delivered" => Self::Delivered,
            "shipped" => Self::Shipped,
            "unavailable" => Self::Unavailable,
            "canceled" => Self::Canceled,
            "approved" | "processing" | "invoiced" => Self::Approved,
            "created" => Self::Created,
            _ => return None,
        })
    }
}

/// One thing sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The product.
    pub sku: String,
    /// Who ships it.
    pub seller: String,
    /// Its price in minor units, never negative.
    pub price_minor: i64,
    /// Its freight in minor units, never negative.
    pub freight_minor: i64,
}

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tender {
    /// The payment type in the data's words, such as `credit_card`.
    pub channel: String,
    /// Minor units, always positive.
    pub amount_minor: i64,
}

/// Why the data cannot be read. A row is a line of the unpacked file; the header is row 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DataError {
    /// The folder is not there.
    #[error("{}: no such folder", .dir.display())]
    NoFolder {
        /// The folder asked for.
        dir: PathBuf,
    },
    /// A table is in the folder neither packed nor plain.
    #[error("{}: holds neither {name}.csv.gz nor {name}.csv", .dir.display())]
    NoFile {
        /// The folder.
        dir: PathBuf,
        /// The table's name.
        name: &'static str,
    },
    /// A file is there and cannot be opened.
    #[error("{}: cannot be opened", .file.display())]
    Closed {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not a table: damaged packing, wrong text encoding, a row of another width.
    #[error("{} after row {row}: cannot be read as a table", .file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The last row that could be read; 0 if none.
        row: u64,
        /// What the reader met.
        source: csv::Error,
    },
    /// The header lacks a column.
    #[error("{}: the column {column} is missing", .file.display())]
    NoColumn {
        /// The file.
        file: PathBuf,
        /// The column wanted.
        column: &'static str,
    },
    /// A field that must be filled is empty.
    #[error("{} row {row}: {column} is empty", .file.display())]
    Empty {
        /// The file.
        file: PathBuf,
        /// The row.
        row: u64,
        /// The field.
        column: &'static str,
    },
    /// Not an amount of at most two decimals, or not a number in a row's sequence.
    #[error("{} row {row}: {column} is no number that fits here: {text:?}", .file.display())]
    BadNumber {
        /// The file.
        file: PathBuf,
        /// The row.
        row: u64,
        /// The field.
        column: &'static str,
        /// What stands there.
        text: String,
    },
    /// Not a time such as `2017-07-09 21:57:05`, or one before 1970.
    #[error("{} row {row}: {column} is no time: {text:?}", .file.display())]
    BadTime {
        /// The file.
        file: PathBuf,
        /// The row.
        row: u64,
        /// The field.
        column: &'static str,
        /// What stands there.
        text: String,
    },
    /// A status that the mapping does not know.
    #[error("{} row {row}: unknown status {text:?}", .file.display())]
    UnknownStatus {
        /// The file.
        file: PathBuf,
        /// The row.
        row: u64,
        /// What stands there.
        text: String,
    },
    /// An item or a payment of an order that is not in the orders.
    #[error("{} row {row}: there is no order {order:?}", .file.display())]
    Orphan {
        /// The file.
        file: PathBuf,
        /// The row.
        row: u64,
        /// The order it names.
        order: String,
    },
    /// An order id that an earlier row has already.
    #[error("{} row {row}: the order {order:?} is here twice", .file.display())]
    DuplicateOrder {
        /// The file.
        file: PathBuf,
        /// The later row.
        row: u64,
        /// The order.
        order: String,
    },
    /// An item or payment number that its order has already: paid twice or copied twice, nobody
    /// can tell.
    #[error("{} row {row}: the order {order:?} has number {number} already", .file.display())]
    DuplicateNumber {
        /// The file.
        file: PathBuf,
        /// The later row.
        row: u64,
        /// The order.
        order: String,
        /// The number.
        number: u32,
    },
    /// The amounts of an order add up to more than 64 bits hold.
    #[error("{}: the amounts of the order {order:?} add up to too much", .dir.display())]
    TooMuch {
        /// The folder.
        dir: PathBuf,
        /// The order.
        order: String,
    },
}

/// Reads the three tables of a folder, sorted by purchase time and then by id.
///
/// # Errors
///
/// [`DataError`] at the first thing found wrong; nothing is skipped silently.
pub(crate) fn load(dir: &Path) -> Result<Vec<Purchase>, DataError> {
    if !dir.is_dir() {
        return Err(DataError::NoFolder { dir: dir.to_owned() });
    }
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    each_row(dir, "orders", &ORDERS, |row| {
        let id = row.filled("order_id")?;
        if drafts.insert(id.to_owned(), Draft::read(row)?).is_some() {
            return Err(DataError::DuplicateOrder {
                file: row.file(),
                row: row.number(),
                order: id.to_owned(),
            });
        }
        Ok(())
    })?;
    each_row(dir, "order_items", &ITEMS, |row| {
        let line = Line {
            sku: row.filled("product_id")?.to_owned(),
            seller: row.filled("seller_id")?.to_owned(),
            price_minor: row.minor("price")?,
            freight_minor: row.minor("freight_value")?,
        };
        let draft = row.order(&mut drafts)?;
        row.insert(&mut draft.lines, "order_item_id", line)
    })?;
    each_row(dir, "order_payments", &PAYMENTS, |row| {
        let tender = Tender {
            channel: row.filled("payment_type")?.to_owned(),
            amount_minor: row.minor("payment_value")?,
        };
        let draft = row.order(&mut drafts)?;
        row.insert(&mut draft.tenders, "payment_sequential", tender)
    })?;

    let mut purchases = Vec::with_capacity(drafts.len());
    for (id, draft) in drafts {
        let Some(purchase) = draft.settle(&id) else {
            return Err(DataError::TooMuch { dir: dir.to_owned(), order: id });
        };
        purchases.push(purchase);
    }
    // The drafts came by id and the sort is stable.
    purchases.sort_by_key(|purchase| purchase.purchased_ms);
    Ok(purchases)
}

/// An order while its rows are still being gathered. Rows stand in their files in any order, so
/// their numbers sort them.
struct Draft {
    status: Status,
    purchased_ms: i64,
    approved_ms: Option<i64>,
    carrier_ms: Option<i64>,
    customer_ms: Option<i64>,
    estimate_ms: i64,
    lines: BTreeMap<u32, Line>,
    tenders: BTreeMap<u32, Tender>,
}

impl Draft {
    fn read(row: &Row<'_>) -> Result<Self, DataError> {
        Ok(Self {
            status: row.status("order_status")?,
            purchased_ms: row.time("order_purchase_timestamp")?,
            approved_ms: row.time_if_any("order_approved_at")?,
            carrier_ms: row.time_if_any("order_delivered_carrier_date")?,
            customer_ms: row.time_if_any("order_delivered_customer_date")?,
            estimate_ms: row.time("order_estimated_delivery_date")?,
            lines: BTreeMap::new(),
            tenders: BTreeMap::new(),
        })
    }

    /// Makes lines and payments agree and fills the times a delivered order lacks. `None` when a
    /// sum does not fit.
    fn settle(self, id: &str) -> Option<Purchase> {
        let mut tenders: Vec<Tender> = self.tenders.into_values().collect();
        let rows = tenders.len();
        tenders.retain(|tender| tender.amount_minor > 0);
        let zero_tenders = u32::try_from(rows.checked_sub(tenders.len())?).ok()?;
        let total_minor = sum(tenders.iter().map(|tender| tender.amount_minor))?;

        let mut lines: Vec<Line> = self.lines.into_values().collect();
        if lines.is_empty() {
            lines.push(Line {
                sku: UNLISTED_SKU.to_owned(),
                seller: UNKNOWN_SELLER.to_owned(),
                price_minor: total_minor,
                freight_minor: 0,
            });
        }
        let listed = sum(lines.iter().flat_map(|line| [line.price_minor, line.freight_minor]))?;

        let lacks = |time: Option<i64>| self.status == Status::Delivered && time.is_none();
        let assumed_carrier = lacks(self.carrier_ms);
        let assumed_customer = lacks(self.customer_ms);
        Some(Purchase {
            id: id.to_owned(),
            status: self.status,
            purchased_ms: self.purchased_ms,
            approved_ms: self.approved_ms,
            carrier_ms: if assumed_carrier { Some(self.estimate_ms) } else { self.carrier_ms },
            customer_ms: if assumed_customer { Some(self.estimate_ms) } else { self.customer_ms },
            estimate_ms: self.estimate_ms,
            assumed_carrier,
            assumed_customer,
            lines,
            tenders,
            zero_tenders,
            total_minor,
            adjustment_minor: total_minor.checked_sub(listed)?,
        })
    }
}

fn sum(amounts: impl Iterator<Item = i64>) -> Option<i64> {
    let mut amounts = amounts;
    amounts.try_fold(0_i64, i64::checked_add)
}

/// One row, with enough about its place to complain well.
struct Row<'a> {
    file: &'a Path,
    headers: &'a StringRecord,
    record: &'a StringRecord,
}

impl Row<'_> {
    fn file(&self) -> PathBuf {
        self.file.to_owned()
    }

    fn number(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    fn text(&self, column: &'static str) -> Result<&str, DataError> {
        let place = self.headers.iter().position(|header| header == column);
        place
            .and_then(|place| self.record.get(place))
            .ok_or_else(|| DataError::NoColumn { file: self.file(), column })
    }

    fn filled(&self, column: &'static str) -> Result<&str, DataError> {
        let text = self.text(column)?;
        if text.is_empty() {
            return Err(DataError::Empty { file: self.file(), row: self.number(), column });
        }
        Ok(text)
    }

    fn minor(&self, column: &'static str) -> Result<i64, DataError> {
        let text = self.filled(column)?;
        minor_units(text).ok_or_else(|| self.bad_number(column, text))
    }

    fn time(&self, column: &'static str) -> Result<i64, DataError> {
        let text = self.filled(column)?;
        instant_ms(text).ok_or_else(|| DataError::BadTime {
            file: self.file(),
            row: self.number(),
            column,
            text: text.to_owned(),
        })
    }

    /// An empty time is something that did not happen.
    fn time_if_any(&self, column: &'static str) -> Result<Option<i64>, DataError> {
        if self.text(column)?.is_empty() {
            return Ok(None);
        }
        self.time(column).map(Some)
    }

    fn status(&self, column: &'static str) -> Result<Status, DataError> {
        let text = self.filled(column)?;
        Status::parse(text).ok_or_else(|| DataError::UnknownStatus {
            file: self.file(),
            row: self.number(),
            text: text.to_owned(),
        })
    }

    /// The order this row belongs to.
    fn order<'d>(&self, drafts: &'d mut BTreeMap<String, Draft>) -> Result<&'d mut Draft, DataError> {
        let id = self.filled("order_id")?;
        drafts.get_mut(id).ok_or_else(|| DataError::Orphan {
            file: self.file(),
            row: self.number(),
            order: id.to_owned(),
        })
    }

    /// Puts a part of an order in the place that its number gives it.
    fn insert<T>(
        &self,
        parts: &mut BTreeMap<u32, T>,
        column: &'static str,
        part: T,
    ) -> Result<(), DataError> {
        let text = self.filled(column)?;
        let number = text.parse().map_err(|_| self.bad_number(column, text))?;
        if parts.insert(number, part).is_some() {
            return Err(DataError::DuplicateNumber {
                file: self.file(),
                row: self.number(),
                order: self.filled("order_id")?.to_owned(),
                number,
            });
        }
        Ok(())
    }

    fn bad_number(&self, column: &'static str, text: &str) -> DataError {
        DataError::BadNumber { file: self.file(), row: self.number(), column, text: text.to_owned() }
    }
}

/// Opens a table and hands out its rows until one is refused.
fn each_row(
    dir: &Path,
    name: &'static str,
    columns: &[&'static str],
    mut accept: impl FnMut(&Row<'_>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let packed = dir.join(format!("{name}.csv.gz"));
    let plain = dir.join(format!("{name}.csv"));
    let (file, bytes): (PathBuf, Box<dyn Read>) = if packed.exists() {
        let bytes = MultiGzDecoder::new(open(&packed)?);
        (packed, Box::new(bytes))
    } else if plain.exists() {
        let bytes = open(&plain)?;
        (plain, Box::new(bytes))
    } else {
        return Err(DataError::NoFile { dir: dir.to_owned(), name });
    };

    let mut table = csv::Reader::from_reader(bytes);
    let mut row = 0;
    let malformed = |row, source| DataError::Malformed { file: file.clone(), row, source };
    let headers = table.headers().map_err(|source| malformed(row, source))?.clone();
    if let Some(column) = columns.iter().find(|wanted| headers.iter().all(|have| have != **wanted)) {
        return Err(DataError::NoColumn { file, column });
    }
    row = 1;
    for record in table.records() {
        let record = record.map_err(|source| malformed(row, source))?;
        let here = Row { file: &file, headers: &headers, record: &record };
        accept(&here)?;
        row = here.number();
    }
    Ok(())
}

fn open(file: &Path) -> Result<File, DataError> {
    File::open(file).map_err(|source| DataError::Closed { file: file.to_owned(), source })
}

/// `541`, `541.0` and `541.05`, exactly; nothing signed, nothing finer than a cent.
fn minor_units(text: &str) -> Option<i64> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, cents) = match text.split_once('.') {
        Some((whole, fraction)) if digits(fraction) => match fraction.len() {
            1 => (whole, fraction.parse::<i64>().ok()?.checked_mul(10)?),
            2 => (whole, fraction.parse::<i64>().ok()?),
            _ => return None,
        },
        Some(_) => return None,
        None => (text, 0),
    };
    if !digits(whole) {
        return None;
    }
    whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(cents)
}

/// Milliseconds since 1970 of a time written in full and not before it.
fn instant_ms(text: &str) -> Option<i64> {
    let civil = DateTime::strptime(TIME, text).ok()?;
    // The parser forgives signs, missing zeros and a 60th second; what it read says so.
    if civil.strftime(TIME).to_string() != text {
        return None;
    }
    let instant_ms = TimeZone::UTC.to_timestamp(civil).ok()?.as_millisecond();
    (instant_ms >= 0).then_some(instant_ms)
}

const TIME: &str = "%Y-%m-%d %H:%M:%S";

/// The line of an order whose items the data does not name.
const UNLISTED_SKU: &str = "unlisted";
const UNKNOWN_SELLER: &str = "unknown";

const ORDERS: [&str; 7] = [
    "order_id",
    "order_status",
    "order_purchase_timestamp",
    "order_approved_at",
    "order_delivered_carrier_date",
    "order_delivered_customer_date",
    "order_estimated_delivery_date",
];
const ITEMS: [&str; 6] = ["order_id", "order_item_id", "product_id", "seller_id", "price", "freight_value"];
const PAYMENTS: [&str; 4] = ["order_id", "payment_sequential", "payment_type", "payment_value"];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use std::collections::BTreeSet;
    use std::fs;
    use std::io::Write;

    use super::*;

    const ORDERS_HEAD: &str = "order_id,customer_id,order_status,order_purchase_timestamp,\
        order_approved_at,order_delivered_carrier_date,order_delivered_customer_date,\
        order_estimated_delivery_date\n";
    const ITEMS_HEAD: &str =
        "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value\n";
    const PAYMENTS_HEAD: &str =
        "order_id,payment_sequential,payment_type,payment_installments,payment_value\n";

    const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/replay/sample");

    /// A folder of three tables that goes away with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn empty(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("replay-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        fn of(name: &str, orders: &str, items: &str, payments: &str) -> Self {
            let folder = Self::empty(name);
            folder.write("orders.csv", &format!("{ORDERS_HEAD}{orders}"));
            folder.write("order_items.csv", &format!("{ITEMS_HEAD}{items}"));
            folder.write("order_payments.csv", &format!("{PAYMENTS_HEAD}{payments}"));
            folder
        }

        fn write(&self, file: &str, text: &str) {
            fs::write(self.0.join(file), text).unwrap();
        }

        fn load(&self) -> Result<Vec<Purchase>, DataError> {
            load(&self.0)
        }

        fn one(&self) -> Purchase {
            let mut purchases = self.load().unwrap();
            assert_eq!(purchases.len(), 1);
            purchases.remove(0)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const PLAIN: &str = "a,c,delivered,2021-03-01 10:00:00,2021-03-01 10:20:00,\
        2021-03-02 08:00:00,2021-03-09 09:00:00,2021-03-20 00:00:00\n";
    const LACKING: &str = "a,c,delivered,2021-03-01 10:00:00,2021-03-01 10:20:00,,,2021-03-20 00:00:00\n";

    #[test]
    fn amounts_are_read_to_the_cent_and_never_rounded() {
        let good = [("541", 54_100), ("541.0", 54_100), ("16.5", 1_650), ("0.05", 5), ("0.0", 0)];
        for (text, minor) in good {
            assert_eq!(minor_units(text), Some(minor), "{text}");
        }
        let bad = ["", ".", "5.", ".5", "-1", "+1", "1.005", "1e2", " 1", "1,00", "1.-5", "NaN"];
        for text in bad {
            assert_eq!(minor_units(text), None, "{text}");
        }
        assert_eq!(minor_units("92233720368547758.07"), Some(i64::MAX));
        assert_eq!(minor_units("92233720368547758.08"), None);
    }

    #[test]
    fn a_time_is_utc_as_written_or_no_time() {
        assert_eq!(instant_ms("1970-01-01 00:00:01"), Some(1_000));
        assert_eq!(instant_ms("2017-07-09 21:57:05"), Some(1_499_637_425_000));
        assert_eq!(instant_ms("2020-02-29 00:00:00"), Some(1_582_934_400_000));
        let bad = [
            "2021-02-29 00:00:00",
            "2021-03-01",
            "2021-3-01 10:00:00",
            "2021-03-01T10:00:00",
            "2021-03-01 24:00:00",
            "2021-03-01 10:00:60",
            "2021-03-01 10:00:00 ",
            "2021-03-01 10:00:00.5",
            "-2021-03-01 10:00:00",
            "1969-12-31 23:59:59",
        ];
        for text in bad {
            assert_eq!(instant_ms(text), None, "{text}");
        }
    }

    #[test]
    fn an_adjustment_makes_the_lines_agree_with_what_was_paid() {
        let items = "a,2,p2,s2,,10.0,1.5\na,1,p1,s1,,20.00,2.25\na,3,p1,s1,,20.00,2.25\n";
        let paid = Folder::of("less", PLAIN, items, "a,2,voucher,1,5.0\na,1,boleto,1,50.99\n").one();
        assert_eq!((paid.total_minor, paid.adjustment_minor), (5_599, -1));
        assert_eq!(paid.sellers(), ["s1", "s2"]);
        let channels: Vec<_> = paid.tenders.iter().map(|tender| tender.channel.as_str()).collect();
        assert_eq!(channels, ["boleto", "voucher"], "tenders stand in their sequence");

        let paid = Folder::of("more", PLAIN, items, "a,1,boleto,1,60.0\n").one();
        assert_eq!((paid.total_minor, paid.adjustment_minor), (6_000, 400));
    }

    #[test]
    fn an_order_without_items_is_one_line_and_one_parcel() {
        let paid = Folder::of("bare", PLAIN, "", "a,1,boleto,1,60.0\na,2,voucher,1,1\n").one();
        assert_eq!(paid.lines.len(), 1);
        assert_eq!((paid.lines[0].price_minor, paid.lines[0].freight_minor), (6_100, 0));
        assert_eq!((paid.total_minor, paid.adjustment_minor), (6_100, 0));
        assert_eq!(paid.sellers().len(), 1);
    }

    #[test]
    fn rows_of_nothing_are_counted_and_skipped_whatever_their_type() {
        let items = "a,1,p1,s1,,20.00,2.25\n";
        let rows = "a,1,not_defined,1,0.0\na,2,voucher,1,0\na,3,voucher,1,22.25\n";
        let paid = Folder::of("beside", PLAIN, items, rows).one();
        assert_eq!((paid.zero_tenders, paid.tenders.len(), paid.adjustment_minor), (2, 1, 0));

        let unpaid = Folder::of("alone", PLAIN, items, "a,1,not_defined,1,0.00\n").one();
        assert_eq!((unpaid.zero_tenders, unpaid.total_minor), (1, 0));
        assert_eq!(unpaid.adjustment_minor, -2_225);
        assert!(unpaid.tenders.is_empty());
    }

    #[test]
    fn only_a_delivered_order_gets_the_times_it_lacks() {
        let rows = "a,1,boleto,1,60.0\n";
        let delivered = Folder::of("lacking", LACKING, "", rows).one();
        let estimate = Some(delivered.estimate_ms);
        assert_eq!((delivered.carrier_ms, delivered.customer_ms), (estimate, estimate));
        assert!(delivered.assumed_carrier && delivered.assumed_customer);

        let canceled = LACKING.replace("delivered", "canceled");
        let canceled = Folder::of("cancel", &canceled, "", rows).one();
        assert_eq!((canceled.carrier_ms, canceled.customer_ms), (None, None));
        assert!(!canceled.assumed_carrier && !canceled.assumed_customer);
    }

    #[test]
    fn orders_come_by_purchase_time_and_then_by_id() {
        let earlier = PLAIN.replace("a,c", "z,c").replace("2021-03-01 10:00:00", "2021-02-01 10:00:00");
        let orders = format!("{}{PLAIN}{earlier}", PLAIN.replace("a,c", "b,c"));
        let purchases = Folder::of("sorted", &orders, "", "").load().unwrap();
        let ids: Vec<_> = purchases.iter().map(|purchase| purchase.id.as_str()).collect();
        assert_eq!(ids, ["z", "a", "b"]);
    }

    #[test]
    fn a_packed_table_is_read_like_a_plain_one() {
        let folder = Folder::of("packed", PLAIN, "", "a,1,boleto,1,60.0\n");
        let plain = folder.one();
        let file = File::create(folder.0.join("orders.csv.gz")).unwrap();
        let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        packed.write_all(format!("{ORDERS_HEAD}{PLAIN}").as_bytes()).unwrap();
        packed.finish().unwrap();
        fs::remove_file(folder.0.join("orders.csv")).unwrap();
        assert_eq!(folder.one(), plain);

        let whole = fs::read(folder.0.join("orders.csv.gz")).unwrap();
        fs::write(folder.0.join("orders.csv.gz"), &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(folder.load(), Err(DataError::Malformed { .. })), "cut in half");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let folder = Folder::empty("missing");
        let nowhere = load(&folder.0.join("nowhere"));
        assert!(matches!(nowhere, Err(DataError::NoFolder { .. })));
        assert!(matches!(folder.load(), Err(DataError::NoFile { name: "orders", .. })));
        folder.write("orders.csv", "order_id,order_status\n");
        let column = "order_purchase_timestamp";
        assert!(matches!(folder.load(), Err(DataError::NoColumn { column: c, .. }) if c == column));
        folder.write("orders.csv", "");
        assert!(matches!(folder.load(), Err(DataError::NoColumn { column: "order_id", .. })));
    }

    #[test]
    fn a_bad_row_is_refused_with_its_place() {
        let refused = |orders: &str, items: &str, payments: &str| {
            let folder = Folder::of("bad", orders, items, payments);
            folder.load().unwrap_err().to_string().replace(&*folder.0.to_string_lossy(), "")
        };
        let item = "a,1,p,s,,1.0,1.0\n";
        let cases = [
            (
                refused(&PLAIN.replace("delivered", "lost"), "", ""),
                "/orders.csv row 2: unknown status \"lost\"",
            ),
            (
                refused(&PLAIN.replace("2021-03-09", "2021-02-30"), "", ""),
                "/orders.csv row 2: order_delivered_customer_date is no time: \
                 \"2021-02-30 09:00:00\"",
            ),
            (
                refused(&PLAIN.replace("2021-03-20 00:00:00", ""), "", ""),
                "/orders.csv row 2: order_estimated_delivery_date is empty",
            ),
            (refused(&format!("{PLAIN}{PLAIN}"), "", ""), "/orders.csv row 3: the order \"a\" is here twice"),
            (
                refused(PLAIN, "a,1,p,s,,1.005,1.0\n", ""),
                "/order_items.csv row 2: price is no number that fits here: \"1.005\"",
            ),
            (
                refused(PLAIN, "a,1,p,s,,-1,1.0\n", ""),
                "/order_items.csv row 2: price is no number that fits here: \"-1\"",
            ),
            (refused(PLAIN, "a,1,p,,,1.0,1.0\n", ""), "/order_items.csv row 2: seller_id is empty"),
            (
                refused(PLAIN, &format!("{item}{item}"), ""),
                "/order_items.csv row 3: the order \"a\" has number 1 already",
            ),
            (refused(PLAIN, "b,1,p,s,,1.0,1.0\n", ""), "/order_items.csv row 2: there is no order \"b\""),
            (
                refused(PLAIN, item, "b,1,boleto,1,2.0\n"),
                "/order_payments.csv row 2: there is no order \"b\"",
            ),
            (
                refused(PLAIN, item, "a,one,boleto,1,2.0\n"),
                "/order_payments.csv row 2: payment_sequential is no number that fits here: \
                 \"one\"",
            ),
            (
                refused(PLAIN, item, "a,1,boleto,1\n"),
                "/order_payments.csv after row 1: cannot be read as a table",
            ),
            (
                refused(PLAIN, "", "a,1,boleto,1,92233720368547758.07\na,2,boleto,1,0.01\n"),
                ": the amounts of the order \"a\" add up to too much",
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn text_that_is_no_text_is_refused() {
        let folder = Folder::of("bytes", PLAIN, "", "");
        let mut bytes = format!("{ORDERS_HEAD}{PLAIN}").into_bytes();
        bytes.extend(b"\xff\xfe,c,delivered,,,,,\n");
        fs::write(folder.0.join("orders.csv"), bytes).unwrap();
        assert!(matches!(folder.load(), Err(DataError::Malformed { row: 2, .. })));
    }

    #[test]
    fn the_bundled_sample_covers_the_mapping() {
        let purchases = load(Path::new(SAMPLE)).unwrap();
        let has = |what: &str, test: &dyn Fn(&Purchase) -> bool| {
            assert!(purchases.iter().any(test), "no order {what}");
        };
        assert_eq!(purchases.len(), 320);
        let words: BTreeSet<Status> = purchases.iter().map(|purchase| purchase.status).collect();
        assert_eq!(words.len(), 6);
        let bare = |purchase: &Purchase| purchase.lines[0].sku == UNLISTED_SKU;
        let canceled = |purchase: &Purchase| purchase.status == Status::Canceled;
        let delivered = |purchase: &Purchase| purchase.status == Status::Delivered;
        has("of four sellers", &|p| p.sellers().len() == 4);
        has("without items", &|p| bare(p) && p.carrier_ms.is_some());
        has("unavailable with two sellers", &|p| p.status == Status::Unavailable && p.sellers().len() == 2);
        has("paid more", &|p| p.adjustment_minor > 0);
        has("paid less", &|p| p.adjustment_minor < 0 && p.total_minor > 0);
        has("of 29 tenders", &|p| p.tenders.len() == 29);
        has("of twice the same tender", &|p| p.tenders.windows(2).any(|two| two[0] == two[1]));
        has("of four channels", &|p| {
            p.tenders.iter().map(|tender| &tender.channel).collect::<BTreeSet<_>>().len() == 4
        });
        has("with a zero row beside others", &|p| p.zero_tenders > 0 && p.total_minor > 0);
        has("with a zero row alone", &|p| p.zero_tenders > 0 && p.total_minor == 0);
        has("with items and nothing to pay", &|p| !bare(p) && p.total_minor == 0);
        has("handed over before its approval", &|p| p.carrier_ms.is_some() && p.carrier_ms < p.approved_ms);
        has("handed over before its purchase", &|p| p.carrier_ms.is_some_and(|at| at < p.purchased_ms));
        has("delivered before its hand-over", &|p| {
            p.customer_ms.is_some() && p.customer_ms < p.carrier_ms && !p.assumed_carrier
        });
        has("delivered before its approval", &|p| p.customer_ms.is_some() && p.customer_ms < p.approved_ms);
        has("approved as it was placed", &|p| p.approved_ms == Some(p.purchased_ms));
        has("created", &|p| p.status == Status::Created && p.total_minor > 0);
        has("lacking its carrier time", &|p| p.assumed_carrier && !p.assumed_customer);
        has("lacking its customer time", &|p| !p.assumed_carrier && p.assumed_customer);
        has("lacking both times", &|p| p.assumed_carrier && p.assumed_customer);
        has("canceled unpaid", &|p| canceled(p) && p.approved_ms.is_none());
        has("canceled paid", &|p| canceled(p) && p.approved_ms.is_some() && p.carrier_ms.is_none());
        has("canceled on its way", &|p| canceled(p) && p.carrier_ms.is_some() && p.customer_ms.is_none());
        has("canceled at the customer", &|p| canceled(p) && p.customer_ms.is_some());
        has("late", &|p| delivered(p) && p.customer_ms > Some(p.estimate_ms));
        has("delivered at its estimate", &|p| {
            delivered(p) && p.customer_ms == Some(p.estimate_ms) && !p.assumed_customer
        });
        for total in [10_000, 10_001, 50_000, 50_001] {
            has("at the edge of a tier", &|p| p.total_minor == total && p.approved_ms.is_some());
        }
    }

    #[test]
    fn the_real_orders_read_as_their_figures_say() {
        let shared = std::env::var_os("CONSIGN_SHARED")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
        let dir = shared.join("data/olist");
        if !dir.is_dir() {
            eprintln!("skipped: the real orders are not at {}", dir.display());
            return;
        }
        let purchases = load(&dir).unwrap();

        let mut by_status: BTreeMap<&str, usize> = BTreeMap::new();
        let mut captured: BTreeMap<&str, i64> = BTreeMap::new();
        let mut tiers = [0; 3];
        for purchase in &purchases {
            *by_status.entry(purchase.status.word()).or_default() += 1;
            if purchase.approved_ms.is_none() {
                continue;
            }
            for tender in &purchase.tenders {
                *captured.entry(&tender.channel).or_default() += tender.amount_minor;
            }
            tiers[usize::from(purchase.total_minor > 10_000) + usize::from(purchase.total_minor > 50_000)] +=
                1;
        }
        assert_eq!(
            by_status.into_iter().collect::<Vec<_>>(),
            [
                ("approved", 547),
                ("canceled", 439),
                ("created", 5),
                ("delivered", 3_835),
                ("shipped", 902),
                ("unavailable", 564),
            ]
        );
        assert_eq!(
            captured.into_iter().collect::<Vec<_>>(),
            [
                ("boleto", 19_232_595),
                ("credit_card", 84_122_861),
                ("debit_card", 738_333),
                ("voucher", 2_868_747),
            ]
        );
        assert_eq!(tiers, [2_857, 3_023, 340]);
        assert_eq!(purchases.iter().map(|purchase| purchase.zero_tenders).sum::<u32>(), 2);

        let handed = purchases.iter().filter(|purchase| purchase.carrier_ms.is_some());
        assert_eq!(handed.map(|purchase| purchase.sellers().len()).sum::<usize>(), 4_862);
        let late = purchases.iter().filter(|purchase| {
            purchase.status == Status::Delivered && purchase.customer_ms > Some(purchase.estimate_ms)
        });
        assert_eq!(late.count(), 332);

        let purchased = |p: &Purchase| Some(p.purchased_ms);
        let approved = |p: &Purchase| p.approved_ms;
        let carrier = |p: &Purchase| p.carrier_ms.filter(|_| !p.assumed_carrier);
        let customer = |p: &Purchase| p.customer_ms.filter(|_| !p.assumed_customer);
        assert_eq!(percentiles(&purchases, purchased, approved), (6_220, [1_163, 131_599, 352_327]));
        assert_eq!(percentiles(&purchases, approved, carrier), (4_811, [172_415, 533_630, 1_668_008]));
        assert_eq!(percentiles(&purchases, carrier, customer), (3_839, [685_328, 1_769_724, 3_794_756]));
        assert_eq!(percentiles(&purchases, purchased, customer), (3_839, [973_357, 2_146_042, 4_258_076]));
    }

    /// How many orders have both times, and the p50, p90 and p99 of the seconds between them by
    /// nearest rank.
    fn percentiles(
        purchases: &[Purchase],
        from: impl Fn(&Purchase) -> Option<i64>,
        to: impl Fn(&Purchase) -> Option<i64>,
    ) -> (usize, [i64; 3]) {
        let mut spans: Vec<i64> =
            purchases.iter().filter_map(|purchase| Some((to(purchase)? - from(purchase)?) / 1_000)).collect();
        spans.sort_unstable();
        let rank = |p: usize| spans[(p * spans.len()).div_ceil(100) - 1];
        (spans.len(), [rank(50), rank(90), rank(99)])
    }
}
