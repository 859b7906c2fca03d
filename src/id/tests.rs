#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt::Debug;
use std::str::FromStr;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;

fn fault<T: FromStr<Err = IdError> + Debug>(text: &str) -> IdFault {
    text.parse::<T>().unwrap_err().why
}

fn travels<T>(value: &T, json: &str)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    assert_eq!(serde_json::to_string(value).unwrap(), json);
    assert_eq!(&serde_json::from_str::<T>(json).unwrap(), value);
}

#[test]
fn an_order_is_known_by_its_hosts_id() {
    for text in ["1", "2017/000-1#a", &"x".repeat(64)] {
        assert_eq!(text.parse::<OrderId>().unwrap().as_str(), text);
    }
    assert_eq!(fault::<OrderId>(""), IdFault::Empty);
    let allowed = "visible ASCII";
    assert_eq!(fault::<OrderId>("a b"), IdFault::Character { at: 1, allowed });
    assert_eq!(fault::<OrderId>("ab\u{e9}"), IdFault::Character { at: 2, allowed });
    assert_eq!(fault::<OrderId>("a\n"), IdFault::Character { at: 1, allowed });
    let bytes = 65;
    let max = 64;
    assert_eq!(fault::<OrderId>(&"x".repeat(65)), IdFault::TooLong { bytes, max });
}

#[test]
fn a_channel_is_a_short_name_in_small_letters() {
    for text in ["credit_card", "boleto", "psp.eu-1", &"c".repeat(32)] {
        assert_eq!(text.parse::<Channel>().unwrap().as_str(), text);
    }
    let allowed = "a-z 0-9 _ . -";
    assert_eq!(fault::<Channel>(""), IdFault::Empty);
    assert_eq!(fault::<Channel>("Card"), IdFault::Character { at: 0, allowed });
    assert_eq!(fault::<Channel>("a:b"), IdFault::Character { at: 1, allowed });
    assert_eq!(fault::<Channel>(&"c".repeat(33)), IdFault::TooLong { bytes: 33, max: 32 });
}

#[test]
fn a_tenants_name_never_hides_the_slash_before_the_order() {
    assert!("acme/eu".parse::<TenantId>().is_err());
    let tenant: TenantId = "Acme.eu".parse().unwrap();
    let key = OrderKey::new(tenant, "a/b".parse().unwrap());
    assert_eq!(key.to_string(), "Acme.eu/a/b");
}

#[test]
fn who_needs_no_tenants_has_one_named_default() {
    let key = OrderKey::from("o-1".parse::<OrderId>().unwrap());
    assert_eq!(key.to_string(), "default/o-1");
    assert_eq!(key.tenant, TenantId::default());
    travels(&key, r#"{"tenant":"default","order":"o-1"}"#);
}

#[test]
fn orders_sort_by_tenant_and_then_by_id() {
    let key = |tenant: &str, order: &str| OrderKey::new(tenant.parse().unwrap(), order.parse().unwrap());
    let mut keys = vec![key("b", "1"), key("a", "2"), key("a", "1")];
    keys.sort();
    assert_eq!(keys, [key("a", "1"), key("a", "2"), key("b", "1")]);
}

#[test]
fn a_name_read_from_a_record_is_as_valid_as_one_just_made() {
    travels(&"o-1".parse::<OrderId>().unwrap(), r#""o-1""#);
    travels(&"credit_card".parse::<Channel>().unwrap(), r#""credit_card""#);
    travels(&Key(7), "7");
    for refused in [r#""""#, r#""Card""#, "7", "null"] {
        assert!(serde_json::from_str::<Channel>(refused).is_err(), "{refused}");
    }
    // An escape makes the reader hand out a string of its own.
    assert_eq!(serde_json::from_str::<Channel>(r#""\u0061""#).unwrap().as_str(), "a");
    assert!(serde_json::from_str::<Key>("-1").is_err());
}

#[test]
fn an_error_says_what_is_wrong_and_does_not_repeat_the_text() {
    let error = "4111 1111 1111 1111".parse::<OrderId>().unwrap_err();
    assert_eq!(error.to_string(), "order id: byte 4 is not one of visible ASCII");
    assert!(!format!("{error:?}").contains("1111"));
}

#[test]
fn an_actor_is_a_role_and_an_id() {
    let anna = Actor::agent("anna").unwrap();
    assert_eq!((anna.role(), anna.id()), (Role::Agent, "anna"));
    travels(&anna, r#""agent:anna""#);
    travels(&Actor::customer("c-1").unwrap(), r#""customer:c-1""#);
    travels(&Actor::host("shop:eu").unwrap(), r#""host:shop:eu""#);
    travels(&Actor::host("").unwrap(), r#""host""#);
    travels(&Actor::system(), r#""system""#);
    travels(&Role::Customer, r#""customer""#);
    assert_eq!("system:".parse(), Ok(Actor::system()));
}

#[test]
fn b1_a_person_is_one_however_the_name_is_typed() {
    let anna = Actor::agent("anna").unwrap();
    for typed in [
        "anna\u{200b}",
        " anna",
        "anna\u{a0}",
        "an\u{ad}na",
        "\u{ff41}nna",
        "\u{202d}anna\u{202c}",
        "anna\u{fe0f}",
        "an\u{3164}na",
        "anna\u{e0061}",
    ] {
        let same = Actor::agent(typed).unwrap();
        assert_eq!(same, anna, "{typed:?}");
        assert_eq!(same.id(), "anna");
        assert!(same.same_person(&anna) && !same.is_another_person(&anna));
        let read: Actor = serde_json::from_value(format!("agent:{typed}").into()).unwrap();
        assert_eq!(read, anna, "{typed:?}");
    }
    assert_eq!(Actor::agent("e\u{301}va").unwrap(), Actor::agent("\u{e9}va").unwrap());
    // 64 bytes are 64 bytes of what is kept.
    let long = format!("{}{}", "a".repeat(64), "\u{200b}".repeat(64));
    assert_eq!(Actor::agent(&long).unwrap().id().len(), 64);
    assert_eq!(
        Actor::agent(&"\u{fdfa}".repeat(4)).unwrap_err().why,
        IdFault::TooLong { bytes: 132, max: 64 }
    );
}

#[test]
fn b1_a_person_without_a_name_is_nobody() {
    for typed in ["", " ", "\u{200b}\u{feff}", "\u{3164}"] {
        assert_eq!(Actor::agent(typed).unwrap_err().why, IdFault::Empty, "{typed:?}");
        assert_eq!(Actor::customer(typed).unwrap_err().why, IdFault::Empty, "{typed:?}");
        assert_eq!(Actor::host(typed).unwrap().to_string(), "host");
    }
    assert_eq!(fault::<Actor>("customer"), IdFault::Empty);
}

#[test]
fn b1_a_machine_is_no_person_and_so_not_a_second_one() {
    let (anna, ben) = (Actor::agent("anna").unwrap(), Actor::agent("ben").unwrap());
    let carla = Actor::customer("carla").unwrap();
    let (host, system) = (Actor::host("shop").unwrap(), Actor::system());
    assert!(anna.is_person() && carla.is_person() && !host.is_person() && !system.is_person());
    assert!(ben.is_another_person(&anna) && anna.is_another_person(&host) && anna.is_another_person(&system));
    for machine in [&host, &system] {
        assert!(!machine.is_another_person(&anna) && !machine.is_another_person(&host));
        assert!(!machine.same_person(machine) && !machine.same_person(&anna));
    }
}

#[test]
fn nobody_acts_without_a_role() {
    assert_eq!(fault::<Actor>(""), IdFault::Role);
    assert_eq!(fault::<Actor>("anna"), IdFault::Role);
    assert_eq!(fault::<Actor>("Agent:anna"), IdFault::Role);
    assert_eq!(Actor::agent(&"a".repeat(65)).unwrap_err().why, IdFault::TooLong { bytes: 65, max: 64 });
    assert!(matches!(Actor::agent("an\u{0}na").unwrap_err().why, IdFault::Character { at: 2, .. }));
}

#[test]
fn an_instance_may_be_named_by_a_bare_number() {
    fn key(key: impl Into<Key>) -> Key {
        key.into()
    }
    assert_eq!(key(3), Key(3));
    assert_eq!(key(Key(3)).to_string(), "3");
    assert!(Key(2) < Key(10));
}

proptest! {
    #[test]
    fn whatever_is_accepted_is_kept_as_it_was(text in "\\PC{0,70}") {
        for (kept, within) in [
            (text.parse::<OrderId>().map(|id| id.to_string()), 64),
            (text.parse::<TenantId>().map(|id| id.to_string()), 64),
            (text.parse::<Channel>().map(|id| id.to_string()), 32),
        ] {
            if let Ok(kept) = kept {
                prop_assert_eq!(&kept, &text);
                prop_assert!(kept.len() <= within);
            }
        }
    }

    #[test]
    fn an_actor_survives_being_written_and_read(id in "[a-z:/][a-z:/ \u{200b}\u{301}\u{ff41}]{0,15}") {
        let actor = Actor::customer(&id).unwrap();
        prop_assert_eq!(actor.to_string().parse(), Ok(actor));
    }
}
