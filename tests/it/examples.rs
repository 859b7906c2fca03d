//! The examples run as a newcomer runs them, and the replay's figures are those that its data must give.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use consign::testing::Fault;
use serde_json::{Value, json};

/// An example's binary, built where it is missing.
fn example(name: &str) -> PathBuf {
    let me = std::env::current_exe().unwrap();
    let profile = me.parent().and_then(Path::parent).unwrap();
    let path = profile.join("examples").join(name);
    if !path.exists() {
        let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--example", name]);
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "the example {name} does not build");
    }
    path
}

fn run(name: &str, args: &[&str]) -> Output {
    Command::new(example(name)).args(args).output().unwrap()
}

fn figures(args: &[&str]) -> Value {
    let out = run("replay", args);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "replay {args:?} failed: {said}");
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "one JSON object on standard output, and nothing else");
    serde_json::from_str(&text).unwrap()
}

/// A fresh place for a store, gone with its books when the test ends.
struct Place(PathBuf);
impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("consign-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
    fn store(&self) -> String {
        format!("sqlite:{}", self.0.join("orders.db").display())
    }
}
impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn full() -> bool {
    std::env::var_os("CONSIGN_FULL").is_some()
}

/// The real order book, where it is there.
fn order_book() -> Option<PathBuf> {
    let shared = std::env::var_os("CONSIGN_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let folder = shared.join("data/olist");
    if folder.join("orders.csv.gz").exists() {
        return Some(folder);
    }
    eprintln!("the real order book is not here: its figures are not checked");
    None
}

/// How the orders ended: all figures but how long it took, and what went on under way.
fn ends(mut figures: Value) -> Value {
    // A fault, and a kill between a call and its answer, cost inquiries and so commits.
    let way =
        ["elapsed_s", "orders_per_s", "commits", "transitions", "faults", "stock_faults", "starts", "people"];
    figures.as_object_mut().unwrap().retain(|k, _| !way.contains(&k.as_str()));
    figures
}

fn expect(figures: &Value, wanted: &Value) {
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&figures[name], value, "{name}");
    }
}

fn expect_sample(f: &Value) {
    let captured =
        json!({"boleto": 1_866_049, "credit_card": 6_332_768, "debit_card": 471_061, "voucher": 484_901});
    let refunded =
        json!({"boleto": 321_114, "credit_card": 1_289_942, "debit_card": 82_707, "voucher": 39_084});
    expect(
        f,
        &json!({
            "orders": 320,
            "by_status": {"approved": 37, "canceled": 47, "created": 7, "delivered": 172, "shipped": 33,
                          "unavailable": 24},
            "captured_minor": captured,
            "refunded_minor": refunded,
            "gateway": {"captured_minor": captured, "refunded_minor": refunded, "duplicate_effects": 0},
            "tiers": {"auto": 104, "one": 146, "two": 52},
            "zero_tenders": 9, "parcels": 239, "late": 15, "parked": 0,
        }),
    );
    assert_eq!(f["by_phase"]["rejected"], 1, "the sample shows an order that review turned down");
}

fn expect_order_book(f: &Value) {
    let captured =
        json!({"credit_card": 84_122_861, "boleto": 19_232_595, "voucher": 2_868_747, "debit_card": 738_333});
    let refunded =
        json!({"credit_card": 14_573_565, "boleto": 3_626_688, "voucher": 666_052, "debit_card": 58_098});
    expect(
        f,
        &json!({
            "orders": 6292,
            "by_status": {"delivered": 3835, "shipped": 902, "unavailable": 564, "approved": 547, "canceled": 439,
                          "created": 5},
            "captured_minor": captured,
            "refunded_minor": refunded,
            "gateway": {"captured_minor": captured, "refunded_minor": refunded, "duplicate_effects": 0},
            "tiers": {"auto": 2857, "one": 3023, "two": 340},
            "zero_tenders": 2, "late": 332, "parcels": 4862, "parked": 0,
            "percentiles": {
                "purchase_to_approval": {"p50": 1163, "p90": 131_599, "p99": 352_327},
                "approval_to_carrier": {"p50": 172_415, "p90": 533_630, "p99": 1_668_008},
                "carrier_to_customer": {"p50": 685_328, "p90": 1_769_724, "p99": 3_794_756},
                "purchase_to_customer": {"p50": 973_357, "p90": 2_146_042, "p99": 4_258_076},
            },
            "balances": {"psp": 88_038_133, "earned": -61_333_437, "cust": -26_704_696, "refund_due": 0,
                         "suspense": 0, "dispute": 0, "fee": 0, "loss": 0, "hold": 0, "hold_contra": 0},
        }),
    );
}

#[test]
fn quickstart_prints_what_happened() {
    let out = run("quickstart", &[]);
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    for word in ["Captured", "Approved", "Delivered", "Succeeded"] {
        assert!(said.contains(word), "`{word}` is missing from:\n{said}");
    }
}

#[test]
fn an_ad_order_prints_what_was_earned_and_what_went_back() {
    let out = run("ad_order", &[]);
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    for line in [
        "review.case/1 Approved, activation.service/1 Activating",
        "activation.service/1 Delivering",
        "activation.service/1 PlatformRejected",
        "ad-1 is completed: 600.00 EUR taken, 420.00 EUR given back, 180.00 EUR earned",
        "ad-2 is cancelled: 600.00 EUR taken, 600.00 EUR given back, 0.00 EUR earned",
    ] {
        assert!(said.contains(line), "`{line}` is missing from:\n{said}");
    }
}

#[test]
fn a_stage_of_the_hosts_own_stands_between_review_and_dispatch_and_payment_asks_for_a_passport() {
    let out = run("custom_stage", &[]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let at = |line: &str| text.find(line).unwrap_or_else(|| panic!("no «{line}» in\n{text}"));
    let told = [
        "PassportNeeded payment.passport/1 Identifying",
        "Paid           payment.passport/1 Captured, review.case/1 Scoring",
        "Scored         review.case/1 AutoApproved, engraving/1 Engraving",
        "Cut            engraving/1 Engraved, dispatch.engraved/1 Reserving",
        "mug-1 is completed: 80.00 EUR taken, 80.00 EUR earned",
    ];
    assert!(told.windows(2).all(|w| at(w[0]) < at(w[1])), "{text}");
}

#[test]
fn a_marketplace_pays_back_what_one_seller_lacks_and_what_comes_back_from_the_other() {
    let out = run("marketplace", &[]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let told = [
        "dispatch.parcel/2 Cancelled",
        "order.life/1 Completed",
        "aftersales.rma/1 Settled",
        "cart-1 is completed: 74.00 EUR taken, 50.00 EUR given back, 24.00 EUR earned, 1 unit put back into the stock",
    ];
    assert!(told.iter().all(|line| text.contains(line)), "{text}");
}

#[test]
fn the_bundled_sample_gives_its_figures_on_memory() {
    expect_sample(&figures(&["--store", "memory", "--json"]));
}

#[test]
fn the_bundled_sample_is_killed_and_goes_on_and_a_second_process_prints_the_same() {
    let place = Place::new("sample");
    let store = place.store();
    let args = ["--store", store.as_str(), "--json"];
    let waits: &[u64] = if full() { &[40, 90, 140, 200, 60, 120, 180, 30, 75, 250] } else { &[60, 150] };
    println!("killed {} times", waits.len());
    killed(&args, waits);
    let done = figures(&args);
    expect_sample(&done);
    let report = figures(&["--report", "--store", &store, "--json"]);
    assert_eq!(report, done, "a second process prints the same object from the store and the books alone");
    // A process that is killed before it has opened the file has not begun.
    let starts = usize::try_from(done["starts"].as_u64().unwrap()).unwrap();
    assert!((2..=waits.len() + 1).contains(&starts), "{starts} starts");
    let undisturbed = figures(&["--store", "memory", "--json"]);
    assert_eq!(ends(done), ends(undisturbed));
}

#[test]
fn faults_of_the_gateway_delay_orders_and_change_no_figure() {
    let undisturbed = ends(figures(&["--store", "memory", "--json"]));
    let seeds = if full() { 1..=20 } else { 1..=2 };
    println!("sizes: the sample under {} seeds of faults", seeds.clone().count());
    for seed in seeds {
        let seed = seed.to_string();
        let f = figures(&["--store", "memory", "--json", "--faults", &seed]);
        expect_sample(&f);
        assert!(f["faults"].as_object().unwrap().len() > 8, "seed {seed}: {}", f["faults"]);
        assert!(f["stock_faults"].as_object().unwrap().len() > 4, "seed {seed}: {}", f["stock_faults"]);
        assert_eq!(ends(f), undisturbed, "seed {seed}");
    }
}

#[test]
fn a_gateway_that_keeps_keys_changes_no_figure_and_a_key_of_its_own_for_each_attempt_is_noticed() {
    let undisturbed = ends(figures(&["--store", "memory", "--json"]));
    let seeds = if full() { 1..=20 } else { 7..=8 };
    println!("sizes: the sample under {} seeds of faults, keys kept", seeds.clone().count());
    for seed in seeds {
        let seed = seed.to_string();
        let args = ["--store", "memory", "--json", "--faults", &seed, "--keys"];
        let f = figures(&args);
        expect_sample(&f);
        for who in ["released", "asked_again", "paid_again", "orders"] {
            assert!(f["people"][who].is_u64(), "seed {seed}: {}", f["people"]);
        }
        assert!(f["people"]["paid_again"].as_u64() > Some(0), "seed {seed}: a tender is declined in each");
        assert_eq!(ends(f), undisturbed, "seed {seed}");
        if seed != "7" {
            continue;
        }
        // The same with the fault planted that each attempt is sent under a key of its own.
        let out = run("replay", &[&args[..], &["--plant"]].concat());
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success(), "seed {seed}: nobody noticed");
        let notices = ["leads nowhere", "the gateway moved"];
        assert!(notices.iter().any(|n| said.contains(n)), "seed {seed}: another check noticed: {said}");
    }
}

/// Runs a replay, and kills it after each of these times.
fn killed(args: &[&str], waits: &[u64]) {
    for wait in waits {
        let mut child = Command::new(example("replay"))
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Not a wait for something to happen: the moment of the kill is the test's input.
        std::thread::park_timeout(Duration::from_millis(*wait));
        let _ = child.kill();
        child.wait().unwrap();
    }
}

#[test]
fn faults_and_kills_together_change_no_figure() {
    let place = Place::new("fire");
    let store = place.store();
    let book = order_book().filter(|_| full());
    // A quarter of the kills fall within 50 ms of a start, where the store is opened and recovers.
    let (waits, data): (Vec<u64>, Vec<&str>) = match &book {
        Some(folder) => {
            let starts = [3, 11, 19, 31, 47];
            let others = [800, 120, 1400, 300, 90, 1900, 650, 210, 1100, 75, 2300, 500, 160, 950, 400];
            let mixed = others.chunks(3).zip(starts).flat_map(|(some, s)| some.iter().copied().chain([s]));
            (mixed.collect(), vec!["--data", folder.to_str().unwrap()])
        }
        None => (vec![90, 7, 200, 40], vec![]),
    };
    let args: Vec<&str> = [&["--store", store.as_str(), "--json", "--faults", "7"], data.as_slice()].concat();
    killed(&args, &waits);
    let done = figures(&args);
    println!(
        "sizes: {} orders, killed {} times, {} starts, {} s, faults {}",
        done["orders"],
        waits.len(),
        done["starts"],
        done["elapsed_s"],
        done["faults"]
    );
    if book.is_some() {
        expect_order_book(&done);
        for fault in Fault::MIX {
            assert!(done["faults"][fault.1.name()].as_u64() > Some(0), "{:?} never happened", fault.1);
        }
    } else {
        expect_sample(&done);
    }
    let starts = usize::try_from(done["starts"].as_u64().unwrap()).unwrap();
    assert!((2..=waits.len() + 1).contains(&starts), "{starts} starts");
    let report = figures(&["--report", "--store", &store, "--json"]);
    for counted in ["faults", "stock_faults", "starts"] {
        assert_eq!(&report[counted], &done[counted], "{counted} are of all runs");
    }
    assert_eq!(ends(report), ends(done));
}

#[test]
fn the_real_order_book_gives_its_figures_to_the_cent() {
    let Some(folder) = order_book() else { return };
    let folder = folder.to_str().unwrap();
    let memory = figures(&["--data", folder, "--store", "memory", "--json"]);
    expect_order_book(&memory);
    if !full() {
        println!("sizes: 6,292 orders on memory; the full size adds SQLite, stopped and continued");
        return;
    }
    let place = Place::new("book");
    let store = place.store();
    let args = ["--data", folder, "--store", store.as_str(), "--json"];
    killed(&args, &[900, 1700, 2600]);
    let sqlite = figures(&args);
    expect_order_book(&sqlite);
    assert_eq!(figures(&["--report", "--store", &store, "--json"]), sqlite);
    println!("sizes: 6,292 orders on memory and on SQLite, killed 3 times");
}

#[test]
fn a_file_that_another_process_has_is_told_and_left_as_it_is() {
    let place = Place::new("locked");
    let path = place.0.join("orders.db");
    // This process has the file; the example is another one.
    let held = consign::store::SqliteStore::open(&path).unwrap();
    for args in [vec!["--json"], vec!["--report", "--json"]] {
        let store = place.store();
        let args: Vec<&str> = args.into_iter().chain(["--store", store.as_str()]).collect();
        let out = run("replay", &args);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success(), "{args:?} succeeded");
        assert!(said.contains("in use by another writer"), "{args:?}: {said}");
        assert!(out.stdout.is_empty(), "{args:?}");
    }
    drop(held);
    expect_sample(&figures(&["--store", &place.store(), "--json"]));
}

#[test]
fn a_missing_folder_a_missing_file_and_an_unknown_option_are_told_plainly() {
    let cases: &[(&[&str], &str)] = &[
        (&["--data", "no/such/folder", "--store", "memory"], "no/such/folder"),
        (&["--report", "--store", "sqlite:no-such-file.db"], "no-such-file.db"),
        (&["--store", "paper"], "unknown store"),
        (&["--loud"], "unknown option"),
    ];
    for (args, word) in cases {
        let out = run("replay", args);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success() && said.contains(word), "{args:?} said: {said}");
        assert!(!said.contains("panicked"), "{args:?} said: {said}");
    }
}
