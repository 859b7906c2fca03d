//! From a draft to an order, or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::fmt::Arguments;

use super::forbidden::{is_card_data_key, is_card_number};
use super::{Charge, ChargeKind, Draft, DraftTender, Fault, Line, Order, Party, Tender};
use crate::id::{Channel, Key, OrderId};
use crate::money::Currency;

pub(super) fn parse(draft: Draft) -> Result<Order, Vec<Fault>> {
    let Draft { id, currency, lines, charges, parties, total_minor, tenders, attributes, placed_by } = draft;
    let mut check = Check::default();

    let id = check.id(&id);
    let currency = check.currency(&currency);
    let of_lines = check.lines(&lines);
    let of_charges = check.charges(&charges);
    check.parties(&parties);
    if let (Some(of_lines), Some(of_charges)) = (of_lines, of_charges) {
        check.total(total_minor, of_lines.and(of_charges));
    }
    check.not_negative(format_args!("total_minor"), total_minor);
    let tenders = check.tenders(tenders, total_minor);
    check.attributes(&attributes);

    match (id, currency) {
        (Some(id), Some(currency)) if check.faults.is_empty() => {
            let hash = super::ContentHash::default();
            Ok(Order {
                id,
                currency,
                lines,
                charges,
                parties,
                total_minor,
                tenders,
                attributes,
                placed_by,
                hash,
            })
        }
        _ => Err(check.faults),
    }
}

/// Amounts added up, and their sizes without the signs. When those fit in 64 bits, so does the sum
/// of any choice of the amounts, and nobody who adds up a part of an order meets an overflow.
#[derive(Clone, Copy, Default)]
struct Sum {
    net: i128,
    gross: i128,
}

impl Sum {
    /// Of at most thousands of amounts below 2^95, so 128 bits are plenty.
    fn add(&mut self, amount: i128) {
        self.net += amount;
        self.gross += amount.abs();
    }

    fn and(self, other: Self) -> Self {
        Self { net: self.net + other.net, gross: self.gross + other.gross }
    }

    fn fits(self) -> Option<i64> {
        i64::try_from(self.gross).ok()?;
        i64::try_from(self.net).ok()
    }
}

#[derive(Default)]
struct Check {
    faults: Vec<Fault>,
}

impl Check {
    fn id(&mut self, id: &str) -> Option<OrderId> {
        let fault = |why| Fault::Name { path: "id".into(), why };
        id.parse().map_err(|why| self.faults.push(fault(why))).ok()
    }

    fn currency(&mut self, code: &str) -> Option<Currency> {
        let fault = |why| Fault::Currency { path: "currency".into(), why };
        code.parse().map_err(|why| self.faults.push(fault(why))).ok()
    }

    fn lines(&mut self, lines: &[Line]) -> Option<Sum> {
        if lines.is_empty() {
            self.faults.push(Fault::Empty { path: "lines".into() });
        }
        self.at_most("lines", lines.len(), Order::MAX_LINES)?;
        let mut sum = Sum::default();
        for (at, line) in lines.iter().enumerate() {
            let Line { sku, quantity, unit_price_minor, kind: _, group } = line;
            self.text(format_args!("lines[{at}].sku"), sku);
            if *quantity == 0 {
                self.faults.push(Fault::NotPositive { path: format!("lines[{at}].quantity"), found: 0 });
            }
            self.not_negative(format_args!("lines[{at}].unit_price_minor"), *unit_price_minor);
            if let Some(group) = group {
                self.text(format_args!("lines[{at}].group"), group);
            }
            sum.add(i128::from(*unit_price_minor) * i128::from(*quantity));
        }
        Some(sum)
    }

    fn charges(&mut self, charges: &[Charge]) -> Option<Sum> {
        self.at_most("charges", charges.len(), Order::MAX_CHARGES)?;
        let mut sum = Sum::default();
        for (at, charge) in charges.iter().enumerate() {
            let Charge { kind, amount_minor, group } = charge;
            match kind {
                ChargeKind::Shipping | ChargeKind::Tax => {
                    self.not_negative(format_args!("charges[{at}].amount_minor"), *amount_minor)
                }
                ChargeKind::Adjustment | ChargeKind::Discount => {}
            }
            if let Some(group) = group {
                self.text(format_args!("charges[{at}].group"), group);
            }
            sum.add(i128::from(*amount_minor));
        }
        Some(sum)
    }

    fn parties(&mut self, parties: &[Party]) {
        let Some(()) = self.at_most("parties", parties.len(), Order::MAX_PARTIES) else {
            return;
        };
        for (at, party) in parties.iter().enumerate() {
            let Party { role: _, reference } = party;
            self.text(format_args!("parties[{at}].reference"), reference);
        }
    }

    fn total(&mut self, stated_minor: i64, sum: Sum) {
        let path = || "total_minor".into();
        match sum.fits() {
            None => self.faults.push(Fault::Overflow { path: path() }),
            Some(counted_minor) if counted_minor != stated_minor => {
                self.faults.push(Fault::TotalMismatch { path: path(), stated_minor, counted_minor });
            }
            Some(_) => {}
        }
    }

    fn tenders(&mut self, tenders: Vec<DraftTender>, total_minor: i64) -> Vec<Tender> {
        let mut read = Vec::with_capacity(tenders.len().min(Order::MAX_TENDERS));
        let listed = self.at_most("tenders", tenders.len(), Order::MAX_TENDERS);
        if listed.is_none() || tenders.is_empty() {
            return read;
        }
        let mut sum = Sum::default();
        for (at, tender) in (0_u32..).zip(tenders) {
            let DraftTender { channel, amount_minor } = tender;
            match channel.parse::<Channel>() {
                Ok(channel) => read.push(Tender { key: Key(at + 1), channel, amount_minor }),
                Err(why) => self.faults.push(Fault::Name { path: format!("tenders[{at}].channel"), why }),
            }
            if amount_minor <= 0 {
                self.faults.push(Fault::NotPositive {
                    path: format!("tenders[{at}].amount_minor"),
                    found: amount_minor,
                });
            }
            sum.add(i128::from(amount_minor));
        }
        let path = || "tenders".into();
        match sum.fits() {
            None => self.faults.push(Fault::Overflow { path: path() }),
            Some(tendered_minor) if tendered_minor != total_minor => {
                self.faults.push(Fault::TendersMismatch { path: path(), total_minor, tendered_minor });
            }
            Some(_) => {}
        }
        read
    }

    fn attributes(&mut self, attributes: &BTreeMap<String, String>) {
        let Some(()) = self.at_most("attributes", attributes.len(), Order::MAX_ATTRIBUTES) else {
            return;
        };
        for (at, (key, value)) in attributes.iter().enumerate() {
            // A key that is at fault itself is told by its place, so that it is not repeated.
            let by_place = format!("attributes[{at}]");
            let before = self.faults.len();
            self.bounded(format_args!("{by_place}"), key, Order::MAX_ATTRIBUTE_KEY_BYTES);
            let path = if self.faults.len() == before { format!("attributes.{key}") } else { by_place };
            if value.len() > Order::MAX_ATTRIBUTE_VALUE_BYTES {
                self.faults.push(Fault::TooLong {
                    path: path.clone(),
                    bytes: value.len(),
                    max: Order::MAX_ATTRIBUTE_VALUE_BYTES,
                });
            }
            if is_card_data_key(key) || is_card_number(value) {
                self.faults.push(Fault::ForbiddenData { path });
            }
        }
    }

    /// `None` when there are too many, and so nothing to look at.
    fn at_most(&mut self, path: &str, found: usize, max: usize) -> Option<()> {
        if found <= max {
            return Some(());
        }
        self.faults.push(Fault::TooMany { path: path.into(), found, max });
        None
    }

    fn not_negative(&mut self, path: Arguments<'_>, found_minor: i64) {
        if found_minor < 0 {
            self.faults.push(Fault::Negative { path: path.to_string(), found_minor });
        }
    }

    fn text(&mut self, path: Arguments<'_>, text: &str) {
        self.bounded(path, text, Order::MAX_TEXT_BYTES);
    }

    fn bounded(&mut self, path: Arguments<'_>, text: &str, max: usize) {
        if text.is_empty() {
            self.faults.push(Fault::Empty { path: path.to_string() });
        }
        if text.len() > max {
            self.faults.push(Fault::TooLong { path: path.to_string(), bytes: text.len(), max });
        }
        if text.contains(char::is_control) {
            self.faults.push(Fault::ControlCharacter { path: path.to_string() });
        }
        if is_card_number(text) {
            self.faults.push(Fault::ForbiddenData { path: path.to_string() });
        }
    }
}
