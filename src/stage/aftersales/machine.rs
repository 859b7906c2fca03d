//! One return, or one claim.

use super::data::*;
use super::policy::{AftersalesPolicy, Payer, ReasonRule};
use crate::id::Key;
use crate::machine::{
    Answer, AskedBy, Cx, Decide, EmittedBy, Gates, Goto, Life, MayStay, Next, On, Refusal, Row, View, refuse,
    stay, to, until,
};
use crate::money::split_minor;
use crate::order::{Credit, Extra, LineKind, Relief};
use crate::stage::proof::{Brought, Delivered, Finished, Instead, Replace, TakesBack, Unit, Waive};
use crate::stage::shared;

crate::machine! {
    /// One return or claim (section 2.8 of the order domain).
    pub mod rma = "aftersales.rma" v 3;
    policy AftersalesPolicy;
    hears Delivered, Finished, TakesBack;
    effects {
        Restock (repeat) while AllOpen
                         => done Restocked, declined RestockRefused, unknown RestockLost, exhausted RestockGaveUp;
    }
    asks { Waive, Replace }
    inputs {
        command AskReturn, AskClaim, Approve, Decline, IssueLabel, Withdraw, Receive, Inspect, Conclude;
        outcome RestockLost @0, RestockGaveUp @0, Restocked @0, RestockRefused @0, OnItsWay @0, LostOnWay @0;
        timer   DecideDue, ItemsDue, TransitDue, InspectDue, SettleDue;
        signal  Squared (on granted Finished), Recalled (on granted TakesBack);
    }
    states {
        Requested: wait(DecideDue),
        Declined: fail,
        Approved: wait(ItemsDue),
        AwaitingItems: wait(ItemsDue),
        Expired: fail,
        Cancelled: fail,
        InTransit: wait(TransitDue),
        LostInTransit: wait(DecideDue),
        Received: wait(InspectDue),
        Inspected: wait(DecideDue),
        Settling: wait(SettleDue),
        Settled: done,
        Rejected: fail,
    }
    groups {
        Open      = Requested | Approved | AwaitingItems | InTransit | LostInTransit | Received | Inspected;
        Shut      = Declined | Expired | Cancelled | Settled | Rejected;
        Expecting = Approved | AwaitingItems;
        Coming    = Approved | AwaitingItems | InTransit;
        Missing   = Approved | AwaitingItems | InTransit | LostInTransit;
        Undecided = LostInTransit | Inspected;
        Stocked   = Settling | Settled;
        Unstocked = Requested | Declined | Approved | AwaitingItems | Expired | Cancelled | InTransit
                  | LostInTransit | Received | Inspected | Rejected;
        NotAwaited = Requested | Declined | Expired | Cancelled | InTransit | LostInTransit | Received | Inspected
                  | Settling | Settled | Rejected;
        NotComing = Requested | Declined | Expired | Cancelled | LostInTransit | Received | Inspected | Settling
                  | Settled | Rejected;
        Unsettled = Requested | Declined | Approved | AwaitingItems | Expired | Cancelled | InTransit | LostInTransit
                  | Received | Inspected | Settled | Rejected;
        AllOpen   = Requested | Declined | Approved | AwaitingItems | Expired | Cancelled | InTransit | LostInTransit
                  | Received | Inspected | Settling | Settled | Rejected;
    }
    rows {
        New           + AskReturn      => Requested | Approved ? Waive, Replace;
        New           + AskClaim       => Requested | Settling | Settled
                                        ? Waive, Replace;
        Requested     + Approve        => Approved | Settling | Settled ? Waive, Replace;
        Requested     + Decline        => Declined;
        Requested     + Withdraw       => Cancelled;
        Requested     + DecideDue      => Requested;
        Approved      + IssueLabel     => AwaitingItems;
        Expecting     + Withdraw       => Cancelled;
        Expecting     + ItemsDue       => Expired;
        Expecting     + OnItsWay       => InTransit;
        Coming        + LostOnWay      => LostInTransit | Settling | Settled
                                        ? Waive, Replace;
        Missing       + Receive        => Received;
        InTransit     + TransitDue     => InTransit;
        LostInTransit + DecideDue      => LostInTransit;
        Received      + Inspect        => Inspected | Settling | Settled
                                        / Restock ? Waive, Replace;
        Received      + InspectDue     => Received;
        Inspected     + DecideDue      => Inspected;
        Undecided     + Conclude       => Settling | Settled | Rejected
                                        / Restock ? Waive, Replace;
        Settling      + Squared        => Settled;
        Settling      + SettleDue      => Settling | Settled;
        Open          + Recalled       => Cancelled;
        Settling      + Recalled       => Settled;
        Stocked       + RestockRefused => Settling | Settled;
        Stocked       + RestockGaveUp  => Settling | Settled;
    }
    ignore {
        AllOpen + Restocked | RestockLost; Unstocked + RestockRefused | RestockGaveUp;
        NotAwaited + OnItsWay; NotComing + LostOnWay; Unsettled + Squared; Shut + Recalled;
    }
}

use rma::{Coming, Expecting, M, Missing, New, Open, State, Stocked, Undecided};

shared!(Open.rma: Rma = Requested | Approved | AwaitingItems | InTransit | LostInTransit | Received | Inspected);
shared!(Expecting.rma: Rma = Approved | AwaitingItems);
shared!(Coming.rma: Rma = Approved | AwaitingItems | InTransit);
shared!(Missing.rma: Rma = Approved | AwaitingItems | InTransit | LostInTransit);
shared!(Undecided.rma: Rma = LostInTransit | Inspected);

/// The most photos of one request, and the longest reference of one, in bytes.
const PHOTOS: (usize, usize) = (16, 128);
/// A whole, in hundredths of a percent.
const WHOLE_BP: i64 = 10_000;

/// What an instance is about, whatever became of it.
#[must_use]
pub fn about(state: &State) -> &Rma {
    match state {
        State::Requested(s) => &s.rma,
        State::Declined(s) => &s.rma,
        State::Approved(s) => &s.rma,
        State::AwaitingItems(s) => &s.rma,
        State::Expired(s) => &s.rma,
        State::Cancelled(s) => &s.rma,
        State::InTransit(s) => &s.rma,
        State::LostInTransit(s) => &s.rma,
        State::Received(s) => &s.rma,
        State::Inspected(s) => &s.rma,
        State::Settling(s) => &s.rma,
        State::Settled(s) => &s.rma,
        State::Rejected(s) => &s.rma,
    }
}

fn of_line(items: &[Units], line: u32) -> u32 {
    items.iter().filter(|u| u.line == line).fold(0, |n: u32, u| n.saturating_add(u.quantity))
}

/// Units of a line that an instance may still give something for, or that it sent once more; what it gave credit for is
/// counted by the obligation.
fn taken(state: &State, line: u32) -> u32 {
    let rma = about(state);
    let settled = rma.accepted.as_deref();
    match state {
        State::Declined(_)
        | State::Expired(_)
        | State::Cancelled(_)
        | State::Settling(_)
        | State::Settled(_)
        | State::Rejected(_) => match rma.resolution {
            Resolution::Replace | Resolution::Redo => settled.map_or(0, |a| of_line(a, line)),
            Resolution::Refund | Resolution::Exchange { .. } | Resolution::Discount { .. } => 0,
        },
        State::Requested(_)
        | State::Approved(_)
        | State::AwaitingItems(_)
        | State::InTransit(_)
        | State::LostInTransit(_)
        | State::Received(_)
        | State::Inspected(_) => match settled {
            Some(_) => 0,
            None => of_line(&rma.items, line),
        },
    }
}

/// Units of a line that all instances but one may still give something for.
fn others(view: &View<'_, M>, me: Key, line: u32) -> u32 {
    let all = view.instances().filter(|(key, _)| *key != me);
    all.fold(0, |n: u32, (_, state)| n.saturating_add(taken(state, line)))
}

/// Units of a line that the customer has had, and those of them that a window from their delivery is still open for.
/// Of a service, all there are.
fn had<R: Row<M = M>>(line: u32, rule: &ReasonRule, cx: &Cx<'_, R>) -> (u32, u32) {
    let of = usize::try_from(line).ok().and_then(|at| cx.order().lines().get(at));
    match of.map(|l| l.kind) {
        Some(LineKind::Service) => {
            let all = of.map_or(0, |l| l.quantity);
            (all, all)
        }
        // Goods that came in exchange have a number beyond the document's lines.
        Some(LineKind::Goods) | None => {
            let units = cx.seen::<Delivered>().map_or(&[][..], |d| d.units.as_slice());
            let sum = |in_time: &dyn Fn(&Brought) -> bool| {
                let of = units.iter().filter(|b| b.line == line && in_time(b));
                of.fold(0, |n: u32, b| n.saturating_add(b.quantity))
            };
            let open = |b: &Brought| {
                let window = std::time::Duration::from_millis(rule.window_ms);
                b.at.saturating_add(window) >= cx.now()
            };
            (sum(&|_| true), sum(&open))
        }
    }
}

/// What a request asks for, once everything about it is in order.
struct Asked {
    kind: Kind,
    items: Vec<Units>,
    reason: Reason,
    resolution: Resolution,
    photos: Vec<String>,
}

impl Asked {
    /// Whether the resolution is one of its kind, and of its lines.
    fn fits<R: Row<M = M>>(&self, resolution: &Resolution, cx: &Cx<'_, R>) -> bool {
        let all =
            |kind: LineKind| self.items.iter().all(|u| cx.obligation().is_kind(cx.order(), u.line, kind));
        match (self.kind, resolution) {
            (Kind::Return, Resolution::Refund) => all(LineKind::Goods),
            (Kind::Return, Resolution::Exchange { units, price_minor }) => {
                let counted = !units.is_empty() && units.iter().all(|u| u.quantity > 0);
                counted && *price_minor >= 0 && all(LineKind::Goods)
            }
            (Kind::Claim, Resolution::Refund) => true,
            (Kind::Claim, Resolution::Discount { amount_minor }) => *amount_minor > 0,
            (Kind::Claim, Resolution::Replace) => all(LineKind::Goods),
            (Kind::Claim, Resolution::Redo) => all(LineKind::Service),
            (Kind::Return, Resolution::Replace | Resolution::Discount { .. } | Resolution::Redo)
            | (Kind::Claim, Resolution::Exchange { .. }) => false,
        }
    }

    fn check<R: Row<M = M>>(self, cx: &Cx<'_, R>) -> Result<Rma, Refusal> {
        if !matches!(cx.life(), Life::Placed | Life::Completed) {
            return no("not_open", "the order is on its way out, or its time for returns is over");
        }
        let Some(rule) = cx.policy().rule(self.kind, self.reason) else {
            return no("reason", format!("{:?} is no reason for it", self.reason));
        };
        let (most, longest) = PHOTOS;
        if self.photos.len() > most || self.photos.iter().any(|p| p.is_empty() || p.len() > longest) {
            return no("photos", format!("at most {most} references of at most {longest} bytes"));
        }
        if rule.photos && self.photos.is_empty() {
            return no("photos", format!("{:?} needs photos", self.reason));
        }
        if !self.fits(&self.resolution, cx) {
            return no("resolution", format!("{:?} is no resolution of it", self.resolution));
        }
        if self.items.is_empty() || self.items.iter().any(|u| u.quantity == 0) {
            return no("nothing", "some units must be named");
        }
        for (n, u) in self.items.iter().enumerate() {
            if self.items.iter().take(n).any(|other| other.line == u.line) {
                return no("line_twice", format!("line {} is named twice", u.line));
            }
            let (there, in_time) = had(u.line, rule, cx);
            let asked = others(cx.siblings(), cx.key(), u.line);
            let credit = cx.obligation().credit(u.line);
            let given = credit.quantity.saturating_sub(credit.unsent);
            let left = there.saturating_sub(asked).saturating_sub(given);
            if u.quantity > left {
                return no(
                    "not_there",
                    format!("{} of line {} asked, {left} are with the customer", u.quantity, u.line),
                );
            }
            if u.quantity > in_time {
                return no(
                    "window_over",
                    format!("{} of line {} asked, {in_time} are in time", u.quantity, u.line),
                );
            }
        }
        let fee_bp = if self.kind == Kind::Return { rule.restocking_fee_bp } else { 0 };
        Ok(Rma {
            kind: self.kind,
            items: self.items,
            reason: self.reason,
            resolution: self.resolution,
            freight: rule.freight,
            fee_bp,
            photos: self.photos,
            asked_at: cx.now(),
            label: None,
            received: Vec::new(),
            found: Vec::new(),
            accepted: None,
            value_minor: 0,
        })
    }
}

fn no<T>(code: &'static str, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { code, detail: detail.into() })
}

/// What units are worth, in minor units: their part of what was paid for their lines, and was not given back yet.
fn worth<R: Row<M = M>>(items: &[Units], cx: &Cx<'_, R>) -> i64 {
    let left = cx.obligation().left(cx.order());
    items.iter().fold(0, |n: i64, u| {
        let of = left.iter().find(|l| l.line == u.line);
        n.saturating_add(of.map_or(0, |l| l.units(u.quantity)))
    })
}

/// Keeps a fee of what is given for units, in hundredths of a percent.
fn keep_fee(relief: &mut Relief, fee_bp: u32) {
    for credit in &mut relief.credits {
        let all = i128::from(credit.worth_minor).saturating_mul(i128::from(fee_bp));
        let fee =
            i64::try_from(all.checked_div(i128::from(WHOLE_BP)).unwrap_or(0)).unwrap_or(credit.worth_minor);
        credit.given_minor = credit.given_minor.min(credit.worth_minor.saturating_sub(fee)).max(0);
    }
}

/// What the customer is let off for the units that are accepted, and what comes in place of them. Units that are sent
/// once more, or for which only the price is lowered, stay the customer's to return.
fn relief<R: Row<M = M>>(rma: &Rma, accepted: &[Units], cx: &Cx<'_, R>) -> Relief {
    // Nothing is sent any more for an order on its way out: its worth goes back instead.
    let sends = cx.life() != Life::Cancelling;
    let units: Vec<(u32, u32)> = accepted.iter().map(|u| (u.line, u.quantity)).collect();
    let lines: Vec<u32> = units.iter().map(|u| u.0).collect();
    let bare = || cx.obligation().relief(cx.order(), &units, None);
    let fee = |mut relief: Relief| {
        keep_fee(&mut relief, rma.fee_bp);
        relief
    };
    match &rma.resolution {
        Resolution::Refund | Resolution::Exchange { .. } | Resolution::Replace
            if !sends || rma.resolution == Resolution::Refund =>
        {
            // A fee is kept of the goods, and not of the carriage that goes back with the last of them.
            let goods = fee(bare());
            let all = cx.relief(&units);
            let carriage = all.credits.into_iter().filter(|c| goods.credits.iter().all(|g| g.line != c.line));
            let carriage: Vec<Credit> = carriage.collect();
            Relief { credits: goods.credits.into_iter().chain(carriage).collect(), extras: Vec::new() }
        }
        Resolution::Exchange { units, price_minor } => {
            // The price of the first stands for that of all: what of it came back is told by their number.
            let each: Vec<u64> = units.iter().map(|u| u64::from(u.quantity)).collect();
            let prices = split_minor(*price_minor, &each).unwrap_or_default();
            let extra = |(unit, price_minor): (&Unit, i64)| Extra {
                sku: unit.sku.clone(),
                quantity: unit.quantity,
                price_minor,
            };
            Relief { extras: units.iter().zip(prices).map(extra).collect(), ..fee(bare()) }
        }
        Resolution::Discount { amount_minor } => {
            let most = worth(accepted, cx);
            cx.obligation().lowered(cx.order(), (*amount_minor).min(most), Some(&lines))
        }
        Resolution::Refund | Resolution::Replace | Resolution::Redo => Relief::default(),
    }
}

/// Gives the customer what is due for the units that are accepted: lets them off the price, and asks for the goods to
/// go out. Money that was given back before is not given back again.
fn settle<R: Row<M = M>>(rma: &Rma, accepted: Vec<Units>, cx: &mut Cx<'_, R>) -> Rma
where
    Waive: AskedBy<R>,
    Replace: AskedBy<R>,
{
    let sends = cx.life() != Life::Cancelling;
    let mut relief = relief(rma, &accepted, cx).at_most(cx.due_minor());
    let value_minor = relief.given_minor();
    for credit in &mut relief.credits {
        credit.back = found(&rma.found, credit.line, |v| v != Verdict::Missing).min(credit.quantity);
    }
    let price_minor = relief.extras.iter().fold(0, |n: i64, e| n.saturating_add(e.price_minor));
    if !relief.is_empty() {
        let reason = format!("{} {:?} {:?}", rma::GRAPH.name, rma.kind, rma.reason);
        cx.ask(Waive { relief, goes_back: true, reason });
    }
    match &rma.resolution {
        Resolution::Exchange { units, .. } if sends => {
            let numbers = cx.obligation().next_extra()..;
            let instead = |(unit, line): (&Unit, u32)| Instead { unit: unit.clone(), line, again: false };
            let units = units.iter().zip(numbers).map(instead).collect();
            cx.ask(Replace { units, share_minor: price_minor });
        }
        Resolution::Replace if sends => {
            let instead = |u: &Units| {
                let sku = cx.obligation().sku(cx.order(), u.line)?.to_owned();
                let unit = Unit { sku, quantity: u.quantity };
                Some(Instead { unit, line: u.line, again: true })
            };
            let units = accepted.iter().filter_map(instead).collect();
            cx.ask(Replace { units, share_minor: 0 });
        }
        Resolution::Redo => cx.hold("redo", format!("claim {}: the service is to be done again", cx.key())),
        Resolution::Exchange { .. }
        | Resolution::Replace
        | Resolution::Refund
        | Resolution::Discount { .. } => {}
    }
    Rma { accepted: Some(accepted), value_minor, ..rma.clone() }
}

/// Units as the warehouse knows them.
fn units_of<R: Row<M = M>>(items: &[Units], cx: &Cx<'_, R>) -> Vec<Unit> {
    let named = |u: &Units| {
        let sku = cx.obligation().sku(cx.order(), u.line)?.to_owned();
        Some(Unit { sku, quantity: u.quantity })
    };
    items.iter().filter_map(named).collect()
}

/// Settled at once where nothing is on its way to the customer.
fn settling<R>(rma: Rma, cx: &Cx<'_, R>) -> Next<R>
where
    R: Goto<Settling> + Goto<Settled> + Row<M = M>,
{
    let sends = matches!(rma.resolution, Resolution::Exchange { .. } | Resolution::Replace);
    if rma.value_minor == 0 && !sends {
        return to(Settled { rma });
    }
    until(cx.after_ms(cx.policy().settle_ms), Settling { rma })
}

/// Whether nothing is owed either way any more, also where all that was delivered came back since.
fn squared<R: Row<M = M>>(cx: &Cx<'_, R>) -> bool {
    let nothing = cx.books().owed() == 0 && cx.books().refund_due(None) == 0;
    cx.seen::<Finished>().is_some() || nothing && cx.standing().open("dispatch") == 0
}

/// Settled where the customer has had it all by now.
fn given<R>(rma: Rma, cx: &Cx<'_, R>) -> Next<R>
where
    R: Goto<Settling> + Goto<Settled> + Row<M = M>,
{
    if squared(cx) {
        return to(Settled { rma });
    }
    until(cx.after_ms(cx.policy().settle_ms), Settling { rma })
}

fn approved<R>(rma: Rma, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Approved> + Row<M = M>,
    Waive: AskedBy<R>,
    Replace: AskedBy<R>,
{
    let early = cx.policy().refund_before_receipt && rma.resolution == Resolution::Refund;
    let rma = if early { settle(&rma, rma.items.clone(), cx) } else { rma };
    until(cx.after_ms(cx.policy().items_ms), Approved { rma })
}

/// Whether a request needs no person: it is small, and nobody has to agree to a price.
fn by_itself<R: Row<M = M>>(rma: &Rma, cx: &Cx<'_, R>) -> bool {
    let worth = worth(&rma.items, cx);
    let agreed = match &rma.resolution {
        Resolution::Refund | Resolution::Replace => true,
        Resolution::Exchange { price_minor, .. } => *price_minor == worth && rma.fee_bp == 0,
        Resolution::Discount { amount_minor } => *amount_minor <= worth,
        Resolution::Redo => false,
    };
    agreed && cx.policy().approve_up_to_minor.is_some_and(|limit| worth <= limit)
}

impl Decide<AskReturn> for New {
    fn decide(&self, c: &AskReturn, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let AskReturn { items, reason, resolution, photos } = c.clone();
        let rma = Asked { kind: Kind::Return, items, reason, resolution, photos }.check(cx)?;
        if by_itself(&rma, cx) {
            return Ok(approved(rma, cx));
        }
        Ok(until(cx.after_ms(cx.policy().decide_ms), Requested { rma }))
    }
}
impl Decide<AskClaim> for New {
    fn decide(&self, c: &AskClaim, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let AskClaim { items, reason, resolution, photos } = c.clone();
        let rma = Asked { kind: Kind::Claim, items, reason, resolution, photos }.check(cx)?;
        if by_itself(&rma, cx) {
            let rma = settle(&rma, rma.items.clone(), cx);
            return Ok(settling(rma, cx));
        }
        Ok(until(cx.after_ms(cx.policy().decide_ms), Requested { rma }))
    }
}
impl Decide<Approve> for Requested {
    fn decide(&self, c: &Approve, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let mut rma = self.rma.clone();
        if let Some(instead) = &c.instead {
            let asked = Asked {
                kind: rma.kind,
                items: rma.items.clone(),
                reason: rma.reason,
                resolution: rma.resolution.clone(),
                photos: Vec::new(),
            };
            if !asked.fits(instead, cx) {
                return refuse("resolution", format!("{instead:?} is no resolution of it"));
            }
            rma.resolution = instead.clone();
        }
        match rma.kind {
            Kind::Return => Ok(approved(rma, cx)),
            Kind::Claim => {
                let rma = settle(&rma, rma.items.clone(), cx);
                Ok(settling(rma, cx))
            }
        }
    }
}
impl Decide<Decline> for Requested {
    fn decide(&self, c: &Decline, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(to(Declined { rma: self.rma.clone(), reason: c.reason.clone() }))
    }
}
impl Decide<Withdraw> for Requested {
    fn decide(&self, _: &Withdraw, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        Ok(to(Cancelled { rma: self.rma.clone() }))
    }
}
impl On<DecideDue> for Requested {
    fn on(&self, _: &DecideDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.remind("aftersales_waits", format!("nobody has decided on {}", cx.key()));
        until(cx.after_ms(cx.policy().decide_ms), self.clone())
    }
}
impl Decide<IssueLabel> for Approved {
    fn decide(&self, c: &IssueLabel, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let rma = Rma { label: Some(c.label.clone()), ..self.rma.clone() };
        Ok(until(cx.after_ms(cx.policy().items_ms), AwaitingItems { rma }))
    }
}
impl Decide<Withdraw> for Expecting {
    fn decide(&self, _: &Withdraw, _: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        if self.rma().accepted.is_some() {
            return refuse("given_back", "the money went back already");
        }
        Ok(to(Cancelled { rma: self.rma().clone() }))
    }
}
impl On<ItemsDue> for Expecting {
    fn on(&self, _: &ItemsDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let rma = self.rma().clone();
        if rma.accepted.is_some() {
            cx.hold("not_returned", format!("{} was paid back, and never came", cx.key()));
        }
        to(Expired { rma })
    }
}
impl On<OnItsWay> for Expecting {
    fn on(&self, _: &OnItsWay, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        until(cx.after_ms(cx.policy().transit_ms), InTransit { rma: self.rma().clone() })
    }
}
impl On<LostOnWay> for Coming {
    fn on(&self, _: &LostOnWay, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        let rma = self.rma().clone();
        if rma.accepted.is_some() {
            return given(rma, cx);
        }
        // Whoever paid for the way back bears the loss.
        match rma.freight {
            Payer::Shop => {
                let rma = settle(&rma, rma.items.clone(), cx);
                settling(rma, cx)
            }
            Payer::Customer => {
                cx.hold(
                    "return_lost",
                    format!("{} is lost on its way back, at the customer's risk", cx.key()),
                );
                until(cx.after_ms(cx.policy().decide_ms), LostInTransit { rma })
            }
        }
    }
}
impl On<TransitDue> for InTransit {
    fn on(&self, _: &TransitDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.remind("return_overdue", format!("{} should be back", cx.key()));
        until(cx.after_ms(cx.policy().transit_ms), self.clone())
    }
}
impl On<DecideDue> for LostInTransit {
    fn on(&self, _: &DecideDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.remind("aftersales_waits", format!("nobody has decided on {}", cx.key()));
        until(cx.after_ms(cx.policy().decide_ms), self.clone())
    }
}

/// Whether units are among others, each line named once.
fn among(items: &[Units], all: &[Units]) -> bool {
    items.iter().enumerate().all(|(n, u)| {
        let once = items.iter().take(n).all(|other| other.line != u.line);
        once && u.quantity <= of_line(all, u.line)
    })
}

impl Decide<Receive> for Missing {
    fn decide(&self, c: &Receive, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let received: Vec<Units> = c.items.iter().filter(|u| u.quantity > 0).copied().collect();
        if received.is_empty() {
            return refuse("nothing", "say that it is lost instead");
        }
        if !among(&received, &self.rma().items) {
            return refuse("not_asked", "more came than was asked for");
        }
        let rma = Rma { received, ..self.rma().clone() };
        Ok(until(cx.after_ms(cx.policy().inspect_ms), Received { rma }))
    }
}
impl On<InspectDue> for Received {
    fn on(&self, _: &InspectDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.remind("inspection_waits", format!("{} was received and not looked at", cx.key()));
        until(cx.after_ms(cx.policy().inspect_ms), self.clone())
    }
}

/// Units of a line that were found to be something.
fn found(list: &[Found], line: u32, is: impl Fn(Verdict) -> bool) -> u32 {
    let of = list.iter().filter(|f| f.line == line && is(f.verdict));
    of.fold(0, |n: u32, f| n.saturating_add(f.quantity))
}

/// Whether a unit speaks for itself: as new it is accepted, and so is one that the shop sent in that state.
fn accepts(reason: Reason, verdict: Verdict) -> Option<bool> {
    match (verdict, reason) {
        (Verdict::Restock, _) => Some(true),
        (Verdict::Damaged | Verdict::WriteOff, Reason::Defective | Reason::Damaged) => Some(true),
        (Verdict::WrongItem, Reason::Wrong) => Some(true),
        (Verdict::Missing, _) => Some(false),
        (Verdict::Damaged | Verdict::WriteOff | Verdict::WrongItem, _) => None,
    }
}

/// Puts units that are accepted back into the stock, where they were found as new. What is not accepted goes back to
/// the customer, who may ask again for it: it was never in the stock.
fn restock<R: Row<M = M>>(rma: &Rma, accepted: &[Units], cx: &mut Cx<'_, R>)
where
    Restock: EmittedBy<R>,
{
    let as_new = |u: &Units| {
        let quantity = found(&rma.found, u.line, |v| v == Verdict::Restock).min(u.quantity);
        Units { line: u.line, quantity }
    };
    let back: Vec<Units> = accepted.iter().map(as_new).filter(|u| u.quantity > 0).collect();
    let units = units_of(&back, cx);
    if !units.is_empty() {
        cx.want(Restock { units });
    }
}

impl Decide<Inspect> for Received {
    fn decide(&self, c: &Inspect, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let received = &self.rma.received;
        let all = received.iter().all(|u| found(&c.found, u.line, |_| true) == u.quantity);
        let known = c.found.iter().all(|f| f.quantity > 0 && of_line(received, f.line) > 0);
        if !all || !known {
            return refuse("not_every_unit", "every unit that was received is found to be something, once");
        }
        let rma = Rma { found: c.found.clone(), ..self.rma.clone() };
        let of = |is: &dyn Fn(Verdict) -> bool| -> Vec<Units> {
            let count = |u: &Units| Units { line: u.line, quantity: found(&rma.found, u.line, is) };
            received.iter().map(count).filter(|u| u.quantity > 0).collect()
        };
        let accepted = of(&|v| accepts(rma.reason, v) == Some(true));
        let clear = rma.found.iter().all(|f| accepts(rma.reason, f.verdict).is_some());
        if let Some(paid) = &rma.accepted {
            restock(&rma, paid, cx);
            // It was paid back before it came: what is not as it should be is for a person.
            let short = paid.iter().any(|u| of_line(&accepted, u.line) < u.quantity);
            if short {
                cx.hold(
                    "returned_short",
                    format!("{} was paid back, and not all of it is as it was", cx.key()),
                );
            }
            return Ok(given(rma, cx));
        }
        if clear && !accepted.is_empty() {
            restock(&rma, &accepted, cx);
            let rma = settle(&rma, accepted, cx);
            return Ok(settling(rma, cx));
        }
        Ok(until(cx.after_ms(cx.policy().decide_ms), Inspected { rma }))
    }
}
impl On<DecideDue> for Inspected {
    fn on(&self, _: &DecideDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        cx.remind("aftersales_waits", format!("nobody has decided on {}", cx.key()));
        until(cx.after_ms(cx.policy().decide_ms), self.clone())
    }
}
impl Decide<Conclude> for Undecided {
    fn decide(&self, c: &Conclude, cx: &mut Cx<'_, Self::R>) -> Answer<Self::R> {
        let (rma, all) = match self {
            Undecided::LostInTransit(s) => (&s.rma, &s.rma.items),
            Undecided::Inspected(s) => (&s.rma, &s.rma.received),
        };
        let accepted: Vec<Units> = c.accepted.iter().filter(|u| u.quantity > 0).copied().collect();
        if !among(&accepted, all) {
            return refuse("not_there", "no more is accepted than came");
        }
        if accepted.is_empty() {
            return Ok(to(Rejected { rma: rma.clone(), reason: c.reason.clone() }));
        }
        restock(rma, &accepted, cx);
        let rma = settle(rma, accepted, cx);
        Ok(settling(rma, cx))
    }
}
impl On<Squared> for Settling {
    fn on(&self, _: &Squared, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        to(Settled { rma: self.rma.clone() })
    }
}
impl On<SettleDue> for Settling {
    fn on(&self, _: &SettleDue, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        if !squared(cx) {
            cx.hold("unsettled", format!("{} is settled, and the customer does not have it all", cx.key()));
        }
        given(self.rma.clone(), cx)
    }
}

impl On<Recalled> for Open {
    fn on(&self, _: &Recalled, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // All of the order comes back: whatever this one was about is among it.
        to(Cancelled { rma: self.rma().clone() })
    }
}

impl On<Recalled> for Settling {
    fn on(&self, _: &Recalled, _: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        // What is still to go to the customer goes with the rest of the order.
        to(Settled { rma: self.rma.clone() })
    }
}

/// Stays, and calls a person: the goods are here, and the stock does not know.
fn not_stocked<R>(at: &Stocked, why: &str, cx: &mut Cx<'_, R>) -> Next<R>
where
    R: Goto<Settling> + Goto<Settled> + Row<M = M, From = Stocked>,
    R::Class: MayStay,
{
    cx.hold_for(Gates::Goods, "not_restocked", format!("{}: {why}", cx.key()));
    match at.clone() {
        Stocked::Settling(s) => stay(s),
        Stocked::Settled(s) => stay(s),
    }
}
impl On<RestockRefused> for Stocked {
    fn on(&self, e: &RestockRefused, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        not_stocked(self, &e.why, cx)
    }
}
impl On<RestockGaveUp> for Stocked {
    fn on(&self, e: &RestockGaveUp, cx: &mut Cx<'_, Self::R>) -> Next<Self::R> {
        not_stocked(self, &e.why, cx)
    }
}

/// The key of the next return or claim.
#[must_use]
pub fn next_key(view: &View<'_, M>) -> Key {
    view.next_free(0)
}
