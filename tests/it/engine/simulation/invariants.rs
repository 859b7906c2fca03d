//! What must be so after every run, whatever happened: the invariants, each by its number.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use consign::engine::OrderView;
use consign::id::{Key, OrderKey};
use consign::journal::{EntryView, read_entry, verify};
use consign::ledger::Code;
use consign::machine::Machine;
use consign::machine::graph::NEW;
use consign::pipeline::lifecycle::lifecycle;
use consign::pipeline::{Phase, Pipeline};
use consign::stage::dispatch::parcel;
use consign::stage::payment::attempt;
use consign::stage::refund::refund;
use consign::stage::review::case;
use consign::store::{Entry, Stored};

use super::super::secrets::hears_all_of;
use super::super::support::carla;
use super::unkind::Unkind;
use super::{ORDERS, Simulation, of};

/// An order as it stands in the store, and how it came to that.
struct Told {
    id: OrderKey,
    stored: Stored,
    entries: Vec<Entry>,
    journal: Vec<EntryView>,
    view: OrderView,
}

impl Simulation {
    /// Every breach, by its invariant.
    pub(super) async fn breaches(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        for n in 0..ORDERS {
            let order = match self.told(n).await {
                Ok(Some(order)) => order,
                Ok(None) => continue,
                Err(why) => {
                    out.push(why);
                    continue;
                }
            };
            let mut found = self.money(n, &order);
            found.extend(self.records(&order));
            found.extend(self.goods(&order));
            found.extend(self.people(&order));
            found.extend(self.rest(&order));
            self.secrets(n, &order).await;
            found.extend(self.unkind(n, &order));
            if !found.is_empty() && std::env::var("CONSIGN_SEED").is_ok() {
                order.print();
            }
            let id = &order.id;
            out.extend(found.into_iter().map(|(which, what)| format!("{which} {id}: {what}")));
            let _ = write!(self.log, "{:?}", order.stored.head);
        }
        for heard in &self.heard {
            out.extend(heard.leaks().into_iter().map(|leak| format!("I12 {leak}")));
        }
        if self.heard[0].said() == 0 {
            out.push("I12 nobody listened".to_owned());
        }
        let twice = self.world.gateway.totals().duplicate_effects;
        if twice > 0 {
            out.push(format!("I2 {twice} operations were carried out twice"));
        }
        if self.unfenced + self.workers[0].life.unfenced.load(Ordering::SeqCst) > 0 {
            out.push("I6 a write of a worker that had lost its order was taken".to_owned());
        }
        if self.world.stock.duplicate_effects() > 0 {
            out.push("I8 stock was moved twice".to_owned());
        }
        out
    }

    /// An order, where it was placed. I1: what was acknowledged is there, and can be opened.
    async fn told(&mut self, n: usize) -> Result<Option<Told>, String> {
        let (id, store) = (self.id(n), self.workers[0].engine.store());
        let Some(stored) = store.load(&id).await.unwrap() else {
            let lost = self.acknowledged[n];
            return if lost { Err(format!("I1 {id} was acknowledged and is gone")) } else { Ok(None) };
        };
        let entries = store.journal(&id, 1, usize::MAX >> 1).await.unwrap();
        let journal: Vec<_> = entries.iter().map(|e| read_entry(&e.body).unwrap()).collect();
        let Some(view) = self.view(n).await else { return Err(format!("I1 {id} cannot be opened")) };
        Ok(Some(Told { id, stored, entries, journal, view }))
    }

    /// I2, I3, I4: money moves once, no more goes back than came, and the books say what the provider's books say.
    fn money(&mut self, n: usize, order: &Told) -> Vec<Breach> {
        let (mut out, p) = (Vec::new(), &order.view.progress);
        let (taken, back) = self.world.gateway.moved(&order.id);
        let (booked, repaid, due) =
            (p.books.captured(None), p.books.refunded(None), p.books.refund_due(None));
        let astray = self.astray.get(&n).copied().unwrap_or_default();
        // What the scheme takes back after it was refunded is gone twice, whatever anybody does.
        let failed = self.kinds.contains(&Unkind::CaptureFailures);
        let unexplained: i64 = p.books.sums().filter(|s| s.code == Code::P18).map(|s| s.amount_minor).sum();
        if taken > p.order.total().minor() + surplus(&order.view) + astray {
            out.push(("I2", format!("{taken} taken of {}", p.order.total())));
        }
        if back > taken && !failed {
            out.push(("I3", format!("{back} given back of {taken}")));
        }
        if due + repaid > booked && !failed {
            out.push(("I3", format!("{repaid} and {due} of {booked}")));
        }
        // What comes back of a refund, or goes back by another hand, may stand on the other side of the books.
        let sides = [Unkind::Bounces, Unkind::Console, Unkind::CaptureFailures].iter();
        let net_only = sides.filter(|k| self.kinds.contains(k)).count() > 0;
        let same = if net_only {
            taken - back == booked - repaid - unexplained
        } else {
            (taken, back) == (booked, repaid + unexplained)
        };
        if !same {
            let books = format!("the books {booked} and {repaid} and {unexplained}");
            out.push(("I4", format!("the gateway has {taken} and {back}, {books}")));
        }
        for (_, state) in of::<refund::M>(&order.view) {
            if matches!(state, refund::State::Succeeded(_)) {
                self.fire("refunded");
            }
        }
        out
    }

    /// I5, I7, I10, I13: the records are whole, tell of declared ways only, hold no word twice, and are bounded.
    fn records(&self, order: &Told) -> Vec<Breach> {
        let Told { stored, entries, journal, .. } = order;
        let mut out = Vec::new();
        if let Err(why) = verify(entries, stored) {
            out.push(("I5", why.to_string()));
        }
        if let Some(undeclared) = undeclared(&self.tables, &stored.columns.pipeline, journal) {
            out.push(("I7", undeclared));
        }
        let mut heard = BTreeMap::new();
        for e in journal.iter().filter(|e| e.kind == "evidence" && e.occurred.is_some()) {
            let n: &mut u32 = heard.entry((&e.target, &e.input, e.occurred)).or_default();
            *n += 1;
            if *n == 2 {
                out.push(("I10", format!("{:?} was taken twice", e.input)));
            }
        }
        if stored.progress.len() > 60_000 || journal.len() > 2_000 {
            let (bytes, entries) = (stored.progress.len(), journal.len());
            out.push(("I13", format!("{bytes} bytes and {entries} records")));
        }
        out
    }

    /// I8: a parcel leaves once, and neither unpaid nor unreviewed nor called off.
    fn goods(&mut self, order: &Told) -> Vec<Breach> {
        let (mut out, mut left) = (Vec::new(), BTreeSet::new());
        for departure in departures(&order.journal) {
            self.fire("handed_over");
            let parcel = departure.parcel;
            if !left.insert(parcel) {
                out.push(("I8", format!("parcel {parcel} was handed over again")));
            }
            if let Some(why) = departure.too_early(&order.view) {
                out.push(("I8", format!("parcel {parcel} was handed over with {why}")));
            }
        }
        out
    }

    /// I9: enough people approved, and none who asked.
    fn people(&mut self, order: &Told) -> Vec<Breach> {
        let mut out = Vec::new();
        let mut approvals =
            order.journal.iter().filter(|e| e.input.as_ref().is_some_and(|i| i.0 == "Approve"));
        if approvals.any(|e| e.by == carla()) {
            out.push(("I9", "approved by who asked".to_owned()));
        }
        for (_, state) in of::<case::M>(&order.view) {
            let case::State::Approved(s) = state else { continue };
            self.fire("approved");
            let people: BTreeSet<_> = s.file.approved_by.iter().collect();
            if people.len() < usize::try_from(s.file.approvals_needed).unwrap() {
                out.push(("I9", format!("{} of {} approved", people.len(), s.file.approvals_needed)));
            }
        }
        out
    }

    /// I11: an order is at its end, or it wakes and a person has heard of it, or it is held for one.
    fn rest(&mut self, order: &Told) -> Vec<Breach> {
        let (mut out, p) = (Vec::new(), &order.view.progress);
        self.fire(p.phase().name());
        if !p.holds.is_empty() {
            return out;
        }
        if p.wanted.iter().any(|w| w.not_before.is_none_or(|at| at < self.now())) {
            let wanted: Vec<_> = p.wanted.iter().map(|w| w.name.to_string()).collect();
            out.push(("I11", format!("it idles and wants {wanted:?}")));
        }
        let resting = matches!(
            p.phase(),
            Phase::Cancelled | Phase::Expired | Phase::Rejected | Phase::Closed | Phase::Completed
        );
        let wakes = p.wake_at().is_some_and(|at| at >= self.now());
        let told = wakes && order.journal.iter().any(|e| !e.holds.is_empty());
        if !resting && !told {
            out.push(("I11", format!("it idles as {} {:?}", p.phase(), order.view.instances())));
        }
        out
    }

    /// I14 to I19: no call is made whose reason is gone, nothing is captured again while it is in doubt, what is paid for
    /// an order that waits for it stays, no money is left lying in silence, no command is dropped or taken for a message.
    fn unkind(&mut self, n: usize, order: &Told) -> Vec<Breach> {
        let p = &order.view.progress;
        let wrong = self.wrong.lock().unwrap().clone();
        let own = wrong.into_iter().filter(|(id, _, _)| *id == order.id);
        let mut out: Vec<Breach> = own.map(|(_, which, what)| (which, what)).collect();
        let ended = matches!(
            p.phase(),
            Phase::Cancelled | Phase::Expired | Phase::Rejected | Phase::Closed | Phase::Completed
        );
        let (lying, owed, held) = (p.books.suspense(), p.books.owed(), p.books.held());
        let owing = owed < 0 && self.kinds.contains(&Unkind::LostAndFound);
        if ended && p.holds.is_empty() && (lying != 0 || owed > 0 || owing || held != 0) {
            out.push(("I17", format!("{} with {lying} in suspense, {owed} owed, {held} held", p.phase())));
        }
        // A stage begins nothing for an order that is leaving.
        let (mut leaving, mut parcels) = (false, BTreeSet::new());
        for e in &order.journal {
            let before = leaving;
            for (place, k, state) in &e.states {
                leaving |= place == lifecycle::M::GRAPH.name && state == "Cancelling";
                if place == parcel::M::GRAPH.name && parcels.insert(k.0) && before && state != "Cancelled" {
                    out.push((
                        "I14",
                        format!("parcel {k} begins on an order that is leaving, by {:?}", e.input),
                    ));
                }
            }
        }
        let _ = n;
        out
    }

    /// I12: everything of an order that is kept or shown is looked at.
    async fn secrets(&mut self, n: usize, order: &Told) {
        let store = self.workers[0].engine.store();
        hears_all_of(&self.heard[1], &*store, order.id.order.as_str()).await;
        // What a view prints is long; one order of each seed stands for the others.
        if n as u64 == self.seed % ORDERS as u64 {
            self.heard[1].hears("view", &format!("{:?}", order.view.progress));
        }
        let struck = |e: &&Entry| String::from_utf8_lossy(&e.body).contains("[card number]");
        *self.fired.entry("card_struck").or_default() += order.entries.iter().filter(struck).count() as u64;
    }
}

/// An invariant that does not hold, and how.
type Breach = (&'static str, String);

impl Told {
    fn print(&self) {
        println!("{}", self.id);
        for e in &self.journal {
            let (target, input) = (&e.target, &e.input);
            println!("{} {} {} {target:?} {input:?} {} {:?}", e.seq, e.at, e.kind, e.disposition, e.states);
        }
    }
}

/// An instance that came to a state on no way that its table has. What one input sets off in other machines leads them
/// a few rows on within the same record.
fn undeclared(tables: &[Pipeline], name: &str, journal: &[EntryView]) -> Option<String> {
    const ROWS: usize = 6;
    let Some(table) = tables.iter().find(|t| t.name() == name) else {
        return Some(format!("there is no pipeline {name}"));
    };
    let graphs = table.graphs();
    let mut stands: BTreeMap<(&str, Key), u64> = BTreeMap::new();
    for e in journal {
        for (place, key, state) in &e.states {
            let Some((_, graph)) = graphs.iter().find(|(name, _)| name == place) else {
                return Some(format!("{name} has no {place}"));
            };
            let Some(to) = graph.state(state) else { return Some(format!("{place} has no state {state}")) };
            let to = 1 << to;
            let from = stands.insert((place.as_str(), *key), to).unwrap_or(NEW);
            let mut reached = from;
            for _ in 0..ROWS {
                let rows = graph.rows.iter().filter(|row| row.from & reached != 0);
                reached |= rows.fold(0, |mask, row| mask | row.to);
            }
            if from != to && reached & to == 0 {
                let from = graph.names(from);
                return Some(format!("{place} {key} came to {state} from {from:?} by {:?}", e.input));
            }
        }
    }
    None
}

/// What may have been taken beyond the total: attempts that paid after another had.
fn surplus(view: &OrderView) -> i64 {
    let captured = |state: &attempt::State| match state {
        attempt::State::Captured(s) if s.unwanted || s.late => s.captured_minor,
        _ => 0,
    };
    of::<attempt::M>(view).iter().map(|(_, state)| captured(state)).sum()
}

/// A parcel that leaves, and how everything stood before.
struct Departure<'a> {
    parcel: u32,
    record: &'a EntryView,
    stood: BTreeMap<(&'a str, u32), &'a str>,
    /// Minor units that were captured, and those that were to go back and did not.
    captured_minor: i64,
    failed_minor: i64,
    /// Whether stray money was adopted.
    adopted: bool,
}

fn departures(journal: &[EntryView]) -> Vec<Departure<'_>> {
    const PARCEL: &str = parcel::M::GRAPH.name;
    let (mut stands, mut out) = (BTreeMap::new(), Vec::new());
    let (mut captured_minor, mut failed_minor, mut adopted) = (0, 0, false);
    for record in journal {
        for (place, k, state) in &record.states {
            let out_already = stands.get(&(PARCEL, k.0)) == Some(&"HandedOver");
            if place == PARCEL && state == "HandedOver" && !out_already {
                let stood = stands.clone();
                out.push(Departure { parcel: k.0, record, stood, captured_minor, failed_minor, adopted });
            }
        }
        let posted = |code| record.postings.iter().filter(move |p| p.code == code).map(|p| p.amount_minor);
        captured_minor +=
            posted(Code::P3).chain(posted(Code::P5)).sum::<i64>() - posted(Code::P4).sum::<i64>();
        let failed = |(place, _, state): &(String, Key, String)| place == "refund" && state == "Failed";
        adopted |= record.input.as_ref().is_some_and(|i| i.0 == "Adopt") && record.disposition == "moved";
        if record.states.iter().any(failed) {
            failed_minor += posted(Code::P11).sum::<i64>();
        }
        failed_minor += posted(Code::P12).sum::<i64>();
        stands.extend(record.states.iter().map(|(place, k, state)| ((place.as_str(), k.0), state.as_str())));
    }
    out
}

impl Departure<'_> {
    /// Why it should have stayed: the order was on its way out, not reviewed or not paid. Where the carrier says that it
    /// has a parcel, it has it.
    fn too_early(&self, view: &OrderView) -> Option<String> {
        if self.record.input.as_ref().is_none_or(|i| i.0 != "HandOver") {
            return None;
        }
        let of = |place: &str| -> Vec<(u32, &str)> {
            let own = self.stood.iter().filter(|((p, _), _)| *p == place);
            own.map(|((_, k), state)| (*k, *state)).collect()
        };
        let (life, cases) = (of(lifecycle::M::GRAPH.name), of(case::M::GRAPH.name));
        let attempts = of(attempt::M::GRAPH.name);
        let passed = cases.iter().all(|i| matches!(i.1, "Approved" | "AutoApproved"));
        let taken = attempts.iter().filter(|i| i.1 == "Captured");
        let paid: BTreeSet<_> =
            taken.filter_map(|i| Some(view.state::<attempt::M>(i.0)?.what().tender)).collect();
        let ready = life == [(1, "Placed")] && !cases.is_empty() && passed;
        // Whoever is let off a part of the price owes the rest of it, also when the refund of that part fails or comes
        // back; and stray money pays for whatever was missing.
        let enough = self.captured_minor + self.failed_minor >= view.progress.order.total().minor();
        let otherwise = self.failed_minor > 0 || self.adopted;
        let right = ready && (paid.len() == view.progress.order.tenders().len() || otherwise && enough);
        (!right).then(|| format!("{life:?} {cases:?} {attempts:?}"))
    }
}
