//! Traefik, as far as clients of an Ingress can tell: what containers of its image do here.
//!
//! ```text
//!  arguments ─▶ entry points, provider, ping
//!  API ──list, watch (through the pod's own wire)──▶ objects ──▶ table of routes ──▶ entry points: match, forward, answer
//! ```
//!
//! It keeps what it has seen: cut off from its API it goes on with its last routes; started while cut off it has none, answers 404
//! to every name, and `/ping` is 200 all the while (Traefik 3.7, and the real one measured so).
//!
//! Not here: its own resources (IngressRoute), the Gateway API, middlewares but for the redirection of an entry point, ACME,
//! sticky sessions, WebSockets, its dashboard and metrics.

mod arguments;
mod objects;
mod routes;
mod serve;

use crate::net::{ClientAuth, Names, OwnTls};
use crate::program::{Pod, Program, Programs};
use crate::talos;
use arguments::Arguments;
use futures::future::BoxFuture;
use objects::Objects;
use routes::Table;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The repositories that its image is pulled from.
const IMAGES: [&str; 2] = ["docker.io/library/traefik", "docker.io/traefik/traefik"];
/// `providersThrottleDuration`: changes of this long are taken together.
const THROTTLE: Duration = Duration::from_secs(2);

/// Traefik for each name of its image.
pub(crate) fn programs() -> Programs {
    let program: Program = Arc::new(|pod| -> BoxFuture<'static, ()> { Box::pin(run(pod)) });
    IMAGES.iter().fold(Programs::default(), |programs, image| programs.with(*image, program.clone()))
}

/// What requests are served from.
#[derive(Clone)]
struct Serving {
    pod: Pod,
    table: Arc<Mutex<Arc<Table>>>,
    /// Shown where no Ingress has a certificate for the name.
    default: Arc<OwnTls>,
}

impl Serving {
    fn table(&self) -> Arc<Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn run(pod: Pod) {
    let Some(arguments) = Arguments::read(&pod.args) else { return };
    let Some(default) = default_certificate(&pod) else { return };
    let serving = Serving { pod: pod.clone(), table: Arc::default(), default };
    let arguments = Arc::new(arguments);
    open(&serving, &arguments);
    let provider = async {
        if arguments.ingress {
            provide(&serving, &arguments).await;
        }
        std::future::pending::<()>().await;
    };
    let term = async {
        pod.term.asked().await;
        // It goes on serving for as long as it was told to, for load balancers to notice, with a ping that says so.
        pod.time.sleep(arguments.accepts_after_term).await;
    };
    tokio::select! {
        biased;
        () = term => {}
        () = provider => {}
    }
}

/// Opens every entry point with the certificates of the present table.
fn open(serving: &Serving, arguments: &Arc<Arguments>) {
    let table = serving.table();
    let names = Names { default: serving.default.clone(), by_name: table.certificates.clone() };
    let names = Arc::new(names);
    for (name, entry) in &arguments.entry_points {
        let router = serve::router(serving, arguments, name, entry);
        if entry.speaks_tls(name) {
            serving.pod.doors.open_by_name(entry.port, names.clone(), router);
        } else {
            serving.pod.doors.open(entry.port, None, router);
        }
    }
}

/// Keeps the table up to date, once everything has been listed.
async fn provide(serving: &Serving, arguments: &Arc<Arguments>) {
    let (objects, mut changed) = Objects::watch(&serving.pod);
    let follow = async {
        loop {
            if objects.is_synced() {
                let table = Arc::new(Table::of(&objects.snapshot(), arguments));
                let mut present = serving.table.lock().unwrap_or_else(PoisonError::into_inner);
                let is_new = *present != table;
                *present = table;
                drop(present);
                if is_new {
                    open(serving, arguments);
                }
            }
            if changed.changed().await.is_err() {
                return;
            }
            serving.pod.time.sleep(THROTTLE).await;
        }
    };
    tokio::select! {
        biased;
        () = objects.run() => {}
        () = follow => {}
    }
}

/// `TRAEFIK DEFAULT CERT`, which nobody vouches for.
fn default_certificate(pod: &Pod) -> Option<Arc<OwnTls>> {
    let mut rng = pod.time.rng("default certificate");
    let name = format!("{}.{}.traefik.default", rng.text(b"0123456789abcdef", 32), rng.text(b"0123456789abcdef", 32));
    let (chain, key) = talos::self_signed("TRAEFIK DEFAULT CERT", name, &mut rng, pod.time.now())?;
    Some(Arc::new(OwnTls { chain, key, clients: ClientAuth::Nobody }))
}
