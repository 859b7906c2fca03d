//! The cancellations of the UCI Online Retail invoices, replayed through the after-sales stage: what the same customer
//! had bought before comes back and is paid back, and what nobody bought is refused.
//!
//! The invoices are those of Chen (2015), doi 10.24432/C5BW33; they are read where `CONSIGN_SHARED` (or `../shared`)
//! has them, and the test says so and passes where it does not. The first 25 customers with a cancellation are replayed,
//! and with `CONSIGN_FULL=1` all of them.
//!
//! | in the invoices | here |
//! |---|---|
//! | a line of a plain invoice | an order of that many units: paid, sent and delivered when the invoice says |
//! | a line of a cancellation (`C..`) | units asked back of the customer's orders of that thing, the oldest first |
//! | more asked than an order still has with the customer | the stage refuses it, and says how many there are |
//! | units that some order takes back | received, found as new, put into the stock, and paid back |
//!
//! Prices are rounded to whole pence. Lines of which the customer is not known are nobody's, and left out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use consign::clock::Timestamp;
use consign::id::Actor;
use consign::order::{Draft, DraftTender, Line, Order};
use consign::pipeline::{Physical, Refused};
use consign::stage::aftersales::{Reason, Resolution, Restocked, Verdict};
use consign::stage::dispatch::{Consumed, InStock, Packing};

use crate::rows::aftersales::{ask_return, inspect, receive, units};
use crate::rows::{dispatch, payment, refund, review};
use crate::support::shop::Shop;

/// A line of an invoice: bought, or given back where it is negative.
struct Bought {
    quantity: i64,
    price_minor: i64,
    at: Timestamp,
}

/// What every customer bought and gave back of everything that they gave back some of, in time; none where the invoices
/// are not there.
fn invoices() -> Option<BTreeMap<(String, String), Vec<Bought>>> {
    let shared = std::env::var_os("CONSIGN_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join("data/uci_online_retail/online_retail.csv.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: no {}", path.display());
        return None;
    };
    let mut all: BTreeMap<(String, String), Vec<Bought>> = BTreeMap::new();
    for row in csv::Reader::from_reader(flate2::read::MultiGzDecoder::new(file)).records() {
        let row = row.unwrap();
        let (invoice, customer) = (&row[0], &row[6]);
        let quantity: i64 = row[3].parse().unwrap();
        let cancels = invoice.starts_with('C');
        if customer.is_empty() || invoice.starts_with('A') || cancels != (quantity < 0) {
            continue;
        }
        let at = format!("{}Z", row[4].replace(' ', "T")).parse().unwrap();
        let price_minor = pence(&row[5]);
        let key = (customer.to_owned(), row[1].to_owned());
        all.entry(key).or_default().push(Bought { quantity, price_minor, at });
    }
    all.retain(|_, lines| lines.iter().any(|l| l.quantity < 0));
    for lines in all.values_mut() {
        // Stable: lines of one instant stay as the file has them.
        lines.sort_by_key(|l| l.at);
    }
    Some(all)
}

/// Pounds as written, to whole pence.
fn pence(text: &str) -> i64 {
    let (pounds, rest) = text.split_once('.').unwrap_or((text, ""));
    let thousandths: i64 = format!("{rest:0<3}")[..3].parse().unwrap();
    pounds.parse::<i64>().unwrap() * 100 + (thousandths + 5) / 10
}

/// Everything may come back for years, and nobody has to agree.
fn policy() -> Physical {
    let mut policy = Physical::default();
    policy.dispatch.packing = Packing::Automatic;
    policy.dispatch.book = false;
    policy.aftersales.approve_up_to_minor = Some(i64::MAX);
    policy.aftersales.returns.iter_mut().for_each(|r| r.window_ms = u64::MAX);
    policy.review.tiers = consign::stage::review::TierPolicy::by_amount(&[]);
    policy.review.scorer = false;
    policy
}

/// An order of these units, paid and delivered.
fn delivered(customer: &str, sku: &str, line: &Bought) -> Shop {
    let mut draft = Draft::new("o-1", "GBP", Actor::customer(customer).unwrap());
    let quantity = u32::try_from(line.quantity).unwrap();
    draft.lines.push(Line::goods(sku, quantity, line.price_minor));
    draft.total_minor = line.price_minor * line.quantity;
    if draft.total_minor > 0 {
        draft.tenders.push(DraftTender::new("card", draft.total_minor));
    }
    let mut s = Shop::place(policy(), Order::parse(draft).unwrap());
    s.now = line.at;
    if s.order.order.total().minor() > 0 {
        s.asks(payment::start(1));
        let paid = payment::paid_in("GBP", s.order.order.total().minor());
        s.done("Charge", paid);
    }
    if s.order.wanted.iter().any(|w| w.name.ends_with("Score")) {
        s.done("Score", review::scored(0));
    }
    s.done("Reserve", InStock);
    s.asks(dispatch::hand_over(1));
    s.done("Consume", Consumed);
    s.hears(dispatch::delivered(1));
    s
}

/// Asks an order for units; how many it takes back.
fn gives_back(s: &mut Shop, key: u32, wanted: i64) -> i64 {
    let by = s.order.order.placed_by().clone();
    let ask = |n: i64| {
        let n = u32::try_from(n).unwrap();
        ask_return(key, units(0, n), Reason::DoesNotFit, Resolution::Refund)
    };
    let taken = match s.tries_as(&by, ask(wanted)) {
        Ok(()) => wanted,
        Err(Refused::Refused { code: "not_there", detail, .. }) => {
            let left: i64 = detail.split(", ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
            if left > 0 {
                s.asks_as(&by, ask(left));
            }
            left
        }
        Err(other) => panic!("{other}"),
    };
    if taken > 0 {
        let n = u32::try_from(taken).unwrap();
        s.asks(receive(key, units(0, n)));
        s.asks(inspect(key, &[(0, n, Verdict::Restock)]));
        s.done("Restock", Restocked);
        let due = s.order.books.refund_due(None);
        if due > 0 {
            s.done("SendBack", refund::repaid_in("GBP", due));
        }
    }
    taken
}

#[test]
fn what_was_bought_before_comes_back_and_is_paid_back_and_what_was_not_is_refused() {
    let Some(all) = invoices() else { return };
    let full = std::env::var("CONSIGN_FULL").is_ok_and(|v| v == "1");
    let most = if full { usize::MAX } else { 25 };
    let (mut covered, mut partly, mut refused) = (0, 0, 0);
    let (mut units_back, mut units_refused) = (0, 0);
    let (mut orders, mut paid_back) = (0, 0);
    let mut customers: Vec<&String> = all.keys().map(|(customer, _)| customer).collect();
    customers.dedup();
    customers.truncate(most);
    for ((customer, sku), lines) in all.iter().filter(|(k, _)| customers.contains(&&k.0)) {
        let mut bought: Vec<(Shop, i64, u32)> = Vec::new();
        for line in lines {
            if line.quantity > 0 {
                bought.push((delivered(customer, sku, line), 0, 0));
                orders += 1;
                continue;
            }
            let wanted = -line.quantity;
            let mut left = wanted;
            for (shop, back, cases) in &mut bought {
                if left == 0 {
                    break;
                }
                shop.now = shop.now.max(line.at);
                let taken = gives_back(shop, *cases + 1, left);
                *cases += u32::from(taken > 0);
                *back += taken;
                left -= taken;
            }
            units_back += wanted - left;
            units_refused += left;
            match (left, wanted - left) {
                (0, _) => covered += 1,
                (_, 0) => refused += 1,
                (_, _) => partly += 1,
            }
        }
        for (shop, back, _) in &bought {
            // I7: what went back is the net paid share of the units that came back, to the cent.
            let given = shop.order.books.refunded(None);
            let share = shop.order.order.unit_share(0, 0..u32::try_from(*back).unwrap());
            assert_eq!(given, share, "{customer} {sku}: {back} units\n{}", shop.show());
            assert_eq!(shop.life(), "Completed");
            assert!(shop.order.books.is_clear(), "{}", shop.show());
            paid_back += given;
        }
    }
    println!(
        "sizes: {} customers, {orders} orders; lines covered {covered}, partly {partly}, refused {refused}; units back \
         {units_back}, refused {units_refused}; {paid_back} pence paid back",
        customers.len()
    );
    if full {
        assert_eq!((covered, partly, refused), (5_552, 40, 1_013));
        assert_eq!((units_back, units_refused), (156_059, 20_716));
    } else {
        assert!(covered > 0 && refused > 0, "{covered} {refused}");
    }
}
