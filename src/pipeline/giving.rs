//! How money finds its way back: which attempts it is given back by, and how much by each.
//!
//! Refunds and attempts never meet; these routes look at both. None gives back more than an attempt took, than its
//! channel still allows, or than the account that it comes from holds.

use std::collections::BTreeMap;

use super::build::{Carried, Hall};
use crate::id::{Actor, Channel, Key};
use crate::ledger::Source;
use crate::machine::{Refusal, View};
use crate::money::split_minor;
use crate::order::{Obligation, Relief};
use crate::stage::payment::{MoneyBack, Taking, attempt, takings};
use crate::stage::proof::OweBack;
use crate::stage::refund::{Begin, Request, Split, given_back, next_key, refund};

/// Carries what one attempt gives back: at most what is left of it, of its channel, and of the account.
#[must_use]
pub fn money_back(ask: &MoneyBack, view: &View<'_, refund::M>) -> Vec<(Key, Begin)> {
    let books = view.world.books;
    let from = match ask.source {
        Source::Suspense => books.suspense(),
        Source::Cust | Source::Fee | Source::Loss => books.owed(),
    };
    let left = ask.taken_minor.saturating_sub(given_back(view, ask.attempt));
    let amount_minor = ask.amount_minor.min(left).min(from).min(books.refundable(&ask.channel));
    if amount_minor <= 0 {
        return Vec::new();
    }
    vec![(
        next_key(view),
        Begin {
            attempt: ask.attempt,
            channel: ask.channel.clone(),
            reference: ask.reference.clone(),
            amount_minor,
            source: ask.source,
            alone: None,
            relief: Relief::default(),
        },
    )]
}

/// Carries money of the customer account back over the attempts that took it, split by the refund policy. What no
/// attempt can give back stays owed, and a person hears of it.
#[must_use]
pub fn owe_back(ask: &OweBack, view: &View<'_, refund::M>, hall: &Hall<'_>) -> Carried<Begin> {
    let books = view.world.books;
    let taken = hall.view::<attempt::M>().map(|v| takings(&v)).unwrap_or_default();
    // Attempts on one channel share what the channel still allows.
    let mut allowed: BTreeMap<Channel, i64> = BTreeMap::new();
    let mut open: Vec<(Taking, i64)> = Vec::with_capacity(taken.len());
    for t in taken {
        let channel = allowed.entry(t.channel.clone()).or_insert_with(|| books.refundable(&t.channel));
        let room = t.amount_minor.saturating_sub(given_back(view, t.attempt)).min(*channel).max(0);
        *channel = channel.saturating_sub(room);
        open.push((t, room));
    }
    let rooms: Vec<(Key, i64)> = open.iter().map(|(t, room)| (t.tender, *room)).collect();
    let wanted = ask.amount_minor.min(books.owed());
    let parts = shares(wanted, &rooms, view.policy.split);
    let given = parts.iter().fold(0, |n: i64, part| n.saturating_add(*part));
    // Each refund carries its part of what the customer was let off, and the last one the rest.
    let going = parts.iter().filter(|part| **part > 0).count();
    let mut relieved = relieved(ask, &parts).into_iter().take(going);
    let free = std::iter::successors(Some(next_key(view)), |last| Some(view.next_free(last.0)));
    let signals = open
        .into_iter()
        .zip(parts)
        .filter(|(_, part)| *part > 0)
        .zip(free)
        .map(|(((t, _), amount_minor), key)| {
            let Taking { attempt, channel, reference, .. } = t;
            let (source, (alone, relief)) = (Source::Cust, relieved.next().unzip());
            let relief = relief.unwrap_or_default();
            (key, Begin { attempt, channel, reference, amount_minor, source, alone, relief })
        })
        .collect();
    let mut holds = Vec::new();
    // Of what was never paid nothing is owed, and nobody waits for it.
    if given < wanted {
        let detail = format!("{given} of {wanted} can go back: {}", ask.reason);
        holds.push(("not_refundable", detail));
    }
    Carried { signals, holds }
}

/// What the customer was let off with each part that goes back, where a person asked for it.
fn relieved(ask: &OweBack, parts: &[i64]) -> Vec<(Actor, Relief)> {
    let Some((by, whole)) = &ask.asked else { return Vec::new() };
    let mut rest = Obligation::default();
    rest.add(whole);
    let parts: Vec<i64> = parts.iter().copied().filter(|part| *part > 0).collect();
    let last = parts.len().saturating_sub(1);
    let mut all = Vec::with_capacity(parts.len());
    for (n, part) in parts.into_iter().enumerate() {
        let relief = if n == last {
            Relief { credits: rest.credits().to_vec(), extras: Vec::new() }
        } else {
            whole.part(part, ask.amount_minor)
        };
        rest.undo(&relief);
        all.push((by.clone(), relief));
    }
    all
}

/// Refuses a refund of what its attempt never took: it must name an attempt of the order, by its own channel and
/// reference. Money that came over a channel on which nothing was tried is found by any attempt.
///
/// # Errors
///
/// `no_such_attempt`, `other_channel` or `other_reference`.
pub fn request(ask: &Request, hall: &Hall<'_>) -> Result<(), Refusal> {
    let against = |code, detail| Err(Refusal { code, detail });
    let Some(attempts) = hall.view::<attempt::M>() else { return Ok(()) };
    let tried = || attempts.instances().any(|(_, state)| state.what().channel == ask.channel);
    let Some(state) = attempts.instance(ask.attempt) else {
        // Money that came unasked, over a channel on which nothing was tried, has no attempt.
        if ask.reference.is_none() && !tried() {
            return Ok(());
        }
        return against("no_such_attempt", format!("the order has no payment attempt {}", ask.attempt));
    };
    let what = state.what();
    if what.channel != ask.channel && tried() {
        return against("other_channel", format!("attempt {} was on {}", ask.attempt, what.channel));
    }
    match (&ask.reference, &what.reference) {
        (Some(asked), held) if what.channel == ask.channel && held.as_ref() != Some(asked) => {
            against("other_reference", format!("attempt {} has another reference", ask.attempt))
        }
        (Some(_) | None, _) => Ok(()),
    }
}

/// What each attempt gives back of an amount, in the order given: together the amount, or all there is. `rooms` holds
/// the tender of each attempt and what it can give, in minor units.
fn shares(amount_minor: i64, rooms: &[(Key, i64)], split: Split) -> Vec<i64> {
    let all = rooms.iter().fold(0, |n: i64, (_, room)| n.saturating_add(*room));
    let amount = amount_minor.min(all).max(0);
    let mut order: Vec<usize> = (0..rooms.len()).collect();
    match split {
        Split::ProRata => {
            let weights: Vec<u64> = rooms.iter().map(|(_, room)| room.unsigned_abs()).collect();
            // No attempt can give anything: nobody gives.
            return split_minor(amount, &weights).unwrap_or_else(|_| vec![0; rooms.len()]);
        }
        Split::FirstTenderFirst => order.sort_by_key(|at| rooms.get(*at).map(|(tender, _)| *tender)),
        Split::LastTenderFirst => {
            order.sort_by_key(|at| std::cmp::Reverse(rooms.get(*at).map(|(tender, _)| *tender)));
        }
    }
    let mut parts = vec![0; rooms.len()];
    let mut left = amount;
    for at in order {
        if let (Some(part), Some((_, room))) = (parts.get_mut(at), rooms.get(at)) {
            *part = left.min(*room);
            left = left.saturating_sub(*part);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOMS: [(Key, i64); 3] = [(Key(1), 600), (Key(2), 300), (Key(3), 100)];

    #[test]
    fn the_last_tender_gives_first_or_the_first_or_all_in_proportion() {
        assert_eq!(shares(350, &ROOMS, Split::LastTenderFirst), [0, 250, 100]);
        assert_eq!(shares(350, &ROOMS, Split::FirstTenderFirst), [350, 0, 0]);
        assert_eq!(shares(350, &ROOMS, Split::ProRata), [210, 105, 35]);
    }

    #[test]
    fn a_cent_that_does_not_divide_goes_to_the_largest_remainder() {
        let rooms = [(Key(1), 1), (Key(2), 1), (Key(3), 1)];
        assert_eq!(shares(2, &rooms, Split::ProRata), [1, 1, 0]);
        assert_eq!(shares(1, &[], Split::ProRata), [0; 0]);
        assert_eq!(shares(1, &[(Key(1), 0)], Split::ProRata), [0]);
    }

    proptest! {
        #[test]
        fn the_shares_are_the_amount_or_all_there_is_and_none_exceeds_its_room(
            amount in -10i64..5_000,
            rooms in prop::collection::vec((1u32..5, 0i64..1_000), 0..6),
            split in prop::sample::select(vec![Split::LastTenderFirst, Split::FirstTenderFirst, Split::ProRata]),
        ) {
            let rooms: Vec<(Key, i64)> = rooms.into_iter().map(|(k, n)| (Key(k), n)).collect();
            let parts = shares(amount, &rooms, split);
            let all: i64 = rooms.iter().map(|(_, n)| n).sum();
            prop_assert_eq!(parts.iter().sum::<i64>(), amount.clamp(0, all));
            for (part, (_, room)) in parts.iter().zip(&rooms) {
                prop_assert!((0..=*room).contains(part), "{} of {}", part, room);
            }
        }
    }
}
