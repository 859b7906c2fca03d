//! Replays an order book through the engine, on one line of virtual time.
//!
//! ```text
//! cargo run --release --example replay                              the bundled sample, on a fresh SQLite file
//! cargo run --release --example replay -- --data FOLDER             an order book in the same layout
//!     --store memory|sqlite:PATH     where orders live; the same PATH again goes on where it stopped
//!     --json                         one JSON object on standard output, and nothing else
//! cargo run --release --example replay -- --report --store sqlite:PATH --json
//!                                                                   the same object, from the store and the books alone
//! ```

mod data;
mod drive;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use consign::store::{MemoryStore, SqliteStore, Store};
use consign::testing::{SandboxGateway, SandboxInventory};

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
}

const USAGE: &str = "usage: replay [--data FOLDER] [--store memory|sqlite:PATH] [--json] [--report]";

fn options() -> Result<Options, String> {
    let mut o = Options { data: None, place: None, json: false, report: false };
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

/// The store and the books beside it.
struct World {
    store: Arc<dyn Store>,
    gateway: Arc<SandboxGateway>,
    stock: Arc<SandboxInventory>,
    clock: Option<PathBuf>,
}

fn open(place: &Place, existing: bool) -> Result<World, String> {
    Ok(match place {
        Place::Memory => World {
            store: Arc::new(MemoryStore::new()),
            gateway: Arc::new(SandboxGateway::open(None).map_err(|e| e.to_string())?),
            stock: Arc::new(SandboxInventory::open(None).map_err(|e| e.to_string())?),
            clock: None,
        },
        Place::File(path) => {
            let store = if existing { SqliteStore::open_existing(path) } else { SqliteStore::open(path) };
            let store = store.map_err(|e| format!("{}: {e}", path.display()))?;
            let book = |what: &str| beside(path, what);
            let gateway = SandboxGateway::open(Some(&book(".gateway.jsonl")));
            let stock = SandboxInventory::open(Some(&book(".stock.jsonl")));
            World {
                store: Arc::new(store),
                gateway: Arc::new(gateway.map_err(|e| format!("the gateway's books: {e}"))?),
                stock: Arc::new(stock.map_err(|e| format!("the warehouse's books: {e}"))?),
                clock: Some(book(".elapsed")),
            }
        }
    })
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
    let world = open(&place, o.report)?;
    if !o.report {
        let bundled = o.data.is_none();
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/replay/sample");
        let folder = o.data.unwrap_or(sample);
        let purchases = data::load(&folder).map_err(|e| e.to_string())?;
        if !o.json
            && let Place::File(path) = &place
        {
            eprintln!("store: {}", path.display());
        }
        let begun = std::time::Instant::now();
        drive::drive(&world, purchases, bundled, o.json).await?;
        report::remember_elapsed(world.clock.as_deref(), begun.elapsed())?;
    }
    let figures = report::figures(&world).await?;
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
