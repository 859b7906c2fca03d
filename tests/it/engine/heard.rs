//! Who listens to everything that the crate says on a thread: every span and event, at every level, with every value.

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What must not be said, and what was said all the same.
#[derive(Debug)]
pub(crate) struct Heard {
    secrets: &'static [&'static str],
    said: AtomicU64,
    leaks: Mutex<Vec<String>>,
}

impl Heard {
    pub(crate) fn new(secrets: &'static [&'static str]) -> Arc<Self> {
        Arc::new(Self { secrets, said: AtomicU64::new(0), leaks: Mutex::default() })
    }

    /// Listens on this thread, until what it gives is dropped.
    pub(crate) fn listens(self: &Arc<Self>) -> tracing::subscriber::DefaultGuard {
        tracing::subscriber::set_default(Listener { heard: self.clone(), spans: AtomicU64::new(1) })
    }

    /// Looks at something that left the crate.
    pub(crate) fn hears(&self, what: &str, said: &str) {
        self.said.fetch_add(1, Ordering::Relaxed);
        if self.secrets.iter().any(|secret| said.contains(secret)) {
            self.leaks.lock().unwrap().push(format!("{what}: {said}"));
        }
    }

    /// How much was said.
    pub(crate) fn said(&self) -> u64 {
        self.said.load(Ordering::Relaxed)
    }

    /// What should not have been said.
    pub(crate) fn leaks(&self) -> Vec<String> {
        self.leaks.lock().unwrap().clone()
    }
}

struct Listener {
    heard: Arc<Heard>,
    spans: AtomicU64,
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Listener {
    fn hears(&self, of: &str, visit: impl FnOnce(&mut Words)) {
        let mut words = Words(of.to_owned());
        visit(&mut words);
        self.heard.hears("trace", &words.0);
    }
}

impl Subscriber for Listener {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        of.target().starts_with("consign")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.hears(span.metadata().name(), |words| span.record(words));
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.hears("", |words| values.record(words));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.hears(event.metadata().name(), |words| event.record(words));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
