//! Replays an order book through the engine, on one line of virtual time.
//!
//! ```text
//! cargo run --release --example replay                              the bundled sample, on a fresh SQLite file
//! cargo run --release --example replay -- --data FOLDER             an order book in the same layout
//!     --store memory|sqlite:PATH     where orders live; the same PATH again goes on where it stopped
//!     --json                         one JSON object on standard output, and nothing else
//!     --faults SEED                  the gateway and the warehouse fail in every way they can; the figures stay the same
//!     --keys                         a gateway that keeps keys, where it fails: what was lost is sent again under its key
//!     --plant                        every attempt has a key of its own, to see that the replay notices
//! cargo run --release --example replay -- --report --store sqlite:PATH --json
//!                                                                   the same object, from the store and the books alone
//! ```

mod data;
mod drive;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use consign::clock::Timestamp;
use consign::gateway::Repeats;
use consign::store::{MemoryStore, SqliteStore, Store};
use consign::testing::{Mutant, SandboxGateway, SandboxInventory, VirtualEnv, plant};

/// Where orders live.
enum Place {
    Memory,
    File(PathBuf),
}

struct Options {
    data: Option<PathBuf>,
    place: Option<Place>,
    json: bool,
    report: bool,
    faults: Option<u64>,
    keys: bool,
    plant: bool,
}

const USAGE: &str = "usage: replay [--data FOLDER] [--store memory|sqlite:PATH] [--json] [--faults SEED [--keys] [--plant]] [--report]";

fn options() -> Result<Options, String> {
    let mut o = Options {
        data: None,
        place: None,
        json: false,
        report: false,
        faults: None,
        keys: false,
        plant: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--data" => o.data = Some(args.next().ok_or(USAGE)?.into()),
            "--store" => {
                let place = args.next().ok_or(USAGE)?;
                o.place = Some(match place.split_once(':') {
                    None if place == "memory" => Place::Memory,
                    Some(("sqlite", path)) if !path.is_empty() => Place::File(path.into()),
                    _ => return Err(format!("unknown store {place}\n{USAGE}")),
                });
            }
            "--json" => o.json = true,
            "--faults" => {
                let seed = args.next().ok_or(USAGE)?;
                o.faults = Some(seed.parse().map_err(|_| format!("no seed: {seed}\n{USAGE}"))?);
            }
            "--keys" => o.keys = true,
            "--plant" => o.plant = true,
            "--report" => o.report = true,
            "--help" | "-h" => return Err(USAGE.to_owned()),
            other => return Err(format!("unknown option {other}\n{USAGE}")),
        }
    }
    Ok(o)
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(what);
    name.into()
}

/// The store, the books beside it, and the time that all of them go by.
struct World {
    store: Arc<dyn Store>,
    gateway: Arc<SandboxGateway>,
    stock: Arc<SandboxInventory>,
    env: VirtualEnv,
    runs: Option<PathBuf>,
}

/// A gateway that forgets keys early promises no more than that its inquiries settle.
const SETTLE: Duration = Duration::from_secs(90);

/// How long a gateway keeps keys that keeps them.
const KEY_TTL: Duration = Duration::from_secs(24 * 3600);

fn open(place: &Place, existing: bool, faults: bool, keys: bool) -> Result<World, String> {
    // The data says when time begins.
    let env = VirtualEnv::new(Timestamp::from_millis(0), 1);
    let path = match place {
        Place::Memory => None,
        Place::File(path) => Some(path),
    };
    let store: Arc<dyn Store> = match path {
        None => Arc::new(MemoryStore::new()),
        Some(path) => {
            let store = if existing { SqliteStore::open_existing(path) } else { SqliteStore::open(path) };
            Arc::new(store.map_err(|e| format!("{}: {e}", path.display()))?)
        }
    };
    let book = |what: &str| path.map(|path| beside(path, what));
    let gateway = SandboxGateway::open(book(".gateway.jsonl").as_deref());
    let mut gateway = gateway.map_err(|e| format!("the gateway's books: {e}"))?;
    if faults {
        let repeats =
            if keys { Repeats::Idempotent { key_ttl: KEY_TTL } } else { Repeats::Lookup { settle: SETTLE } };
        gateway = gateway.in_time(Arc::new(env.clone())).promising(repeats);
    }
    let stock = SandboxInventory::open(book(".stock.jsonl").as_deref());
    let stock = stock.map_err(|e| format!("the warehouse's books: {e}"))?;
    Ok(World { store, gateway: Arc::new(gateway), stock: Arc::new(stock), env, runs: book(".runs") })
}

/// A fresh file in the system's folder for such things.
fn fresh() -> PathBuf {
    let stamp = consign::clock::Clock::now(&consign::clock::SystemClock).millis();
    std::env::temp_dir().join(format!("consign-replay-{}-{stamp}.db", std::process::id()))
}

async fn run() -> Result<(), String> {
    let o = options()?;
    let place = match o.place {
        Some(place) => place,
        None if o.report => return Err(format!("--report needs --store sqlite:PATH\n{USAGE}")),
        None => Place::File(fresh()),
    };
    let world = open(&place, o.report, o.faults.is_some(), o.keys)?;
    let mut ends = None;
    if !o.report {
        let bundled = o.data.is_none();
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/replay/sample");
        let folder = o.data.unwrap_or(sample);
        // The file is open: from here on a run that is killed counts as a start.
        let run = report::Run::begin(world.runs.as_deref())?;
        let purchases = data::load(&folder).map_err(|e| e.to_string())?;
        if !o.json
            && let Place::File(path) = &place
        {
            eprintln!("store: {}", path.display());
        }
        run.works();
        let _planted = o.plant.then(|| plant(Mutant::RandomKey));
        ends = Some(drive::ends(&purchases, bundled));
        let how = drive::How { bundled, quiet: o.json, faults: o.faults, keys: o.keys };
        drive::drive(&world, purchases, &how, &run).await?;
        run.note()?;
    }
    let figures = report::figures(&world, ends.as_ref()).await?;
    if o.json {
        println!("{}", serde_json::to_string(&figures).map_err(|e| e.to_string())?);
    } else {
        print!("{}", report::table(&figures));
    }
    world.store.close().await.map_err(|e| e.to_string())
}

fn main() -> ExitCode {
    // One thread: the virtual clock, and not the scheduler, decides what comes after what.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("replay: {e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("replay: {why}");
            ExitCode::FAILURE
        }
    }
}
