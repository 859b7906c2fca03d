//! What real carriers say: every scan of their samples is mapped or kept as it came, and none stops a parcel.
//!
//! The samples and code maps are read where `CONSIGN_SHARED` (or `../shared`) has them, and the test says so and passes
//! where it does not. Each sample's scans go through a parcel of the ready pipeline: as they came, the other way round,
//! and each twice.

use std::path::PathBuf;

use consign::clock::Timestamp;
use consign::id::Key;
use consign::pipeline::Disposition;
use consign::stage::dispatch::{CodeMap, RawScan, Receiver, TrackingStatus, parcel, trip};
use serde_json::Value;

use crate::rows::dispatch;
use crate::support::shop::Shop;

/// What the samples' own twelve words mean here.
fn word(unified: &str) -> TrackingStatus {
    match unified {
        "pending" | "pre_transit" => TrackingStatus::PreTransit,
        "picked_up" => TrackingStatus::PickedUp,
        "in_transit" => TrackingStatus::InTransit,
        "out_for_delivery" => TrackingStatus::OutForDelivery,
        "ready_for_pickup" => TrackingStatus::AvailableForPickup,
        "delivery_failed" => TrackingStatus::AttemptFailed,
        "on_hold" | "delivery_delayed" | "cancelled" => TrackingStatus::Exception,
        "delivered" => TrackingStatus::Delivered(Receiver::Customer),
        "return_to_sender" => TrackingStatus::Returning,
        "unknown" => TrackingStatus::Stale,
        other => panic!("{other} is no word of the samples"),
    }
}

struct Sample {
    carrier: String,
    map: CodeMap,
    events: Vec<(String, String, String, Timestamp)>,
}

fn text(event: &Value, field: &str) -> String {
    event.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The scans of one answer, the newest first as carriers tell them. One without a time gets that of its place.
fn events(list: &[Value]) -> Vec<(String, String, String, Timestamp)> {
    let scan = |(n, e): (usize, &Value)| {
        let own = Some(text(e, "timestamp")).filter(|t| !t.is_empty()).unwrap_or_else(|| text(e, "datetime"));
        let own = if own.ends_with('Z') || own.is_empty() { own } else { format!("{own}Z") };
        let at =
            own.parse().unwrap_or_else(|_| Timestamp::from_millis(1_700_000_000_000 - n as i64 * 60_000));
        let words =
            Some(text(e, "description")).filter(|t| !t.is_empty()).unwrap_or_else(|| text(e, "status"));
        (text(e, "code"), words, text(e, "location"), at)
    };
    list.iter().enumerate().map(scan).collect()
}

fn gather(v: &Value, found: &mut Vec<Vec<Value>>) {
    match v {
        Value::Object(o) => {
            for (k, v) in o {
                match v {
                    Value::Array(list) if k == "events" && list.iter().all(Value::is_object) => {
                        found.push(list.clone());
                    }
                    v => gather(v, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|v| gather(v, found)),
        _ => {}
    }
}

fn samples() -> Option<Vec<Sample>> {
    let shared = std::env::var_os("CONSIGN_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let folder = shared.join("data/carriers");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: no {}", folder.display());
        return None;
    };
    let mut files: Vec<PathBuf> = files.map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "json"));
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let v: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        if let Some(trackers) = v.get("trackers").and_then(Value::as_array) {
            let map = ["pre_transit", "in_transit", "out_for_delivery", "delivered"]
                .iter()
                .fold(CodeMap::new("easypost"), |map, code| map.with(code, word(code)));
            for t in trackers {
                let details = t["tracking_details"].as_array().unwrap();
                let events = events(details)
                    .into_iter()
                    .zip(details)
                    .map(|(e, d)| (text(d, "status"), e.1, e.2, e.3))
                    .collect();
                all.push(Sample { carrier: "easypost".into(), map: map.clone(), events });
            }
            continue;
        }
        let carrier = text(&v, "carrier");
        let mut map = CodeMap::new(&carrier);
        for (unified, codes) in v["status_map"].as_object().unwrap() {
            for code in codes.as_array().unwrap() {
                map = map.with(code.as_str().unwrap(), word(unified));
            }
        }
        let mut found = Vec::new();
        gather(&v["expected"], &mut found);
        for sample in v["samples"].as_array().unwrap() {
            if let Ok(raw) = serde_json::from_str::<Value>(sample["raw"].as_str().unwrap_or_default())
                && text(sample, "name").starts_with("PARSED")
            {
                gather(&raw, &mut found);
            }
        }
        all.extend(found.iter().map(|list| Sample {
            carrier: carrier.clone(),
            map: map.clone(),
            events: events(list),
        }));
    }
    Some(all)
}

/// A parcel that is with the carrier hears all of it; where it comes to, and the newest scan.
fn follows(sample: &Sample, order: &[usize]) -> (String, String) {
    let mut s: Shop = dispatch::reach("HandedOver");
    for n in order {
        let (code, words, place, at) = &sample.events[*n];
        let scan = RawScan { code, text: words, place, at: *at };
        s.now = s.now.max(*at);
        let heard = s.hears_of(*at, sample.map.evidence(Key(1), &scan));
        let fine = [Disposition::Moved, Disposition::Ignored, Disposition::Stale, Disposition::Duplicate];
        assert!(fine.contains(&heard), "{} {code} {words}: {heard}", sample.carrier);
    }
    assert!(s.holds().is_empty(), "{}: {:?}", sample.carrier, s.holds());
    let state = s.pipeline.state::<parcel::M>(&s.order, 1).unwrap();
    let newest = if s.state("dispatch.parcel", 1) == "HandedOver" { trip(state).scan.clone() } else { None };
    (s.state("dispatch.parcel", 1).to_owned(), newest.map_or(String::new(), |scan| scan.at.to_string()))
}

#[test]
fn every_scan_of_every_sample_is_mapped_or_kept_and_none_stops_a_parcel() {
    let Some(samples) = samples() else { return };
    let (mut events, mut raw) = (0, 0);
    let mut carriers: Vec<&str> = Vec::new();
    for sample in &samples {
        carriers.push(&sample.carrier);
        for (code, words, place, at) in &sample.events {
            let status = sample.map.status(&RawScan { code, text: words, place, at: *at });
            events += 1;
            raw += usize::from(matches!(status, TrackingStatus::Other(_)));
        }
        let forward: Vec<usize> = (0..sample.events.len()).collect();
        let back: Vec<usize> = forward.iter().rev().copied().collect();
        let twice: Vec<usize> = forward.iter().chain(&forward).copied().collect();
        let came = follows(sample, &forward);
        assert_eq!(follows(sample, &back), came, "{}: the other way round", sample.carrier);
        assert_eq!(follows(sample, &twice), came, "{}: each twice", sample.carrier);
    }
    carriers.dedup();
    println!("sizes: {} carriers, {} samples, {events} scans, {raw} kept raw", carriers.len(), samples.len());
    assert_eq!((carriers.len(), samples.len(), events, raw), (19, 47, 191, 60));
}

#[test]
fn a_code_map_is_data() {
    let json = r#"{"carrier":"ups","codes":{"ld":{"delivered":"locker"},"nh":"exception"}}"#;
    let map: CodeMap = serde_json::from_str(json).unwrap();
    let scan = RawScan { code: "LD", text: "", place: "", at: Timestamp::from_millis(0) };
    assert_eq!(map.status(&scan), TrackingStatus::Delivered(Receiver::Locker));
    assert_eq!(serde_json::to_string(&map).unwrap(), json);
}
