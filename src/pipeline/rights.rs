//! Who may ask what of the library's stages.
//!
//! A host says who asks, and the library believes it; these rules are what follows from it. A host may refuse more, and
//! never less. What a stage of the host's own takes is the host's to check.

use super::lifecycle::lifecycle;
use crate::id::{Actor, Role};
use crate::machine::{Class, Graph};
use crate::order::Order;
use crate::stage::{
    activation::service, aftersales::rma, correction::correction, dispatch::parcel, payment::attempt,
    refund::refund, review::case,
};

/// What the customer of an order may ask, by area. Everything else of the library's stages is the shop's.
const CUSTOMERS: &[(&str, &[&str])] = &[
    ("order", &["Cancel", "RequestReturn"]),
    ("payment", &["Start", "Cancel", "CustomerBack"]),
    ("review", &["SupplyInfo", "Appeal", "Expedite"]),
    ("activation", &["Pause", "Resume", "Terminate", "Resubmit", "Appeal"]),
    ("aftersales", &["AskReturn", "AskClaim", "Withdraw"]),
    // Up to what the policy of refunds gives customers by themselves.
    ("refund", &["Request", "CancelRefund"]),
];

/// What a stage decides about by itself: review knows who is no reviewer, and why.
const OWN: &[(&str, &[&str])] = &[("review", &["Claim", "Approve", "Reject", "SecondLook"])];

/// What only a person of the shop may do, by area: no machine is a second pair of eyes, and none vouches for what it
/// saw.
const PEOPLE: &[(&str, &[&str])] = &[
    ("refund", &["ApproveRefund", "SettleRefund", "PayOut"]),
    ("aftersales", &["Approve", "Conclude"]),
    ("books", &["Propose", "Agree", "Withdraw"]),
];

/// Whether the command is one that the library's own table of this area declares, rather than a host's extension.
fn ours(area: &str, command: &str) -> bool {
    let graph: &Graph = match area {
        "order" => &lifecycle::GRAPH,
        "payment" => &attempt::GRAPH,
        "review" => &case::GRAPH,
        "dispatch" => &parcel::GRAPH,
        "activation" => &service::GRAPH,
        "aftersales" => &rma::GRAPH,
        "refund" => &refund::GRAPH,
        "books" => &correction::GRAPH,
        _ => return false,
    };
    graph.inputs.iter().any(|i| i.class == Class::Command && i.name == command)
}

fn listed(list: &[(&str, &[&str])], area: &str, command: &str) -> bool {
    list.iter().any(|(of, commands)| *of == area && commands.contains(&command))
}

/// Why somebody may not ask this of an order. `None` when they may.
pub(super) fn forbids(graph: &Graph, command: &str, by: &Actor, order: &Order) -> Option<&'static str> {
    let area = graph.area();
    let ours = ours(area, command);
    if ours && listed(OWN, area, command) {
        return None;
    }
    if by.role() == Role::Customer {
        if !order.placed_by().same_person(by) {
            return Some("only who placed the order may ask as its customer");
        }
        if ours && !listed(CUSTOMERS, area, command) {
            return Some("this is the shop's to ask");
        }
    }
    (ours && listed(PEOPLE, area, command)).then(|| no_person(by)).flatten()
}

/// Why somebody is no person of the shop. `None` when they are.
pub(super) fn no_person(by: &Actor) -> Option<&'static str> {
    let person = by.role() == Role::Agent && by.is_person();
    (!person).then_some("a person of the shop must do it, by name")
}
