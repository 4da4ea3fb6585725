//! What nearly every command needs: the file read, the world reachable, the bundle open.

use crate::args::{Args, Verb};
use crate::conceal::{conceal, is_secret};
use crate::credentials;
use crate::failure::{Failure, Marked};
use crate::files::{self, Beside};
use crate::render::{self, Ink, Teller};
use crate::settings::Environment;
use engine::{Reach, Subject};
use spec::{Cluster, Dns, DnsProvider, Lock, Reading, Severity};
use std::path::Path;
use std::sync::Arc;
use wire::{SharedWire, Sockets, Time};

/// Of a key that the cluster file does not take.
const UNKNOWN_KEY: &str = "BQ0103";

/// The cluster file, read and found good.
pub struct Loaded {
    pub cluster: Arc<Cluster>,
    /// As the user named it.
    pub path: String,
    /// Its text, fit to be shown.
    pub text: String,
    pub reading: Reading,
}

/// Reads the cluster file. Its warnings are told where it is about to be acted on; its errors are the failure.
pub fn load(args: &Args) -> Result<Loaded, Failure> {
    let path = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).map_err(|error| {
        let failure = Failure::system(&path, &error);
        if error.kind() == std::io::ErrorKind::NotFound {
            return failure.help("write one with `bouquet init`, or name another with `-f FILE`");
        }
        failure
    })?;
    let mut reading = spec::read(&text);
    let mut faults = std::mem::take(&mut reading.faults);
    for fault in &mut faults {
        let marked = fault.span.clone().and_then(|span| text.get(span)).unwrap_or_default();
        if fault.code == UNKNOWN_KEY && is_secret(marked) {
            fault.help =
                Some("the file is committed: set credentials in the environment, or in `.env` beside it".to_owned());
        }
        fault.message = conceal(&fault.message);
    }
    let text = conceal(&text);
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error).count();
    let Some(cluster) = reading.cluster.clone().filter(|_| errors == 0) else {
        let mut message = format!("{path} has {}", counted(errors, "error"));
        if faults.len() > errors {
            message = format!("{message} and {}", counted(faults.len() - errors, "warning"));
        }
        let failure = Failure::marked(Marked { path, text, faults }, message);
        let help = format!("`bouquet explain {}` says more", failure.code);
        return Err(failure.help(help));
    };
    if matches!(args.verb, Verb::Check | Verb::Plan { .. } | Verb::Apply { .. }) {
        render::faults(Ink::talk(args), &Marked { path: path.clone(), text: text.clone(), faults });
    }
    Ok(Loaded { cluster: Arc::new(seen_from(&args.file, cluster)), path, text, reading })
}

/// The cluster with the paths that its file names as they are seen from here.
fn seen_from(file: &Path, mut cluster: Cluster) -> Cluster {
    if let Some(Dns { provider: DnsProvider::Rfc2136(at) }) = &mut cluster.dns
        && let Some(key) = &mut at.key
        && !key.starts_with("~/")
        && let Some(folder) = file.parent()
    {
        *key = folder.join(&*key).display().to_string();
    }
    cluster
}

pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Everything a command needs that looks at the world.
pub struct Context {
    pub environment: Environment,
    pub beside: Beside,
    pub reach: Reach,
    pub subject: Subject,
    pub lock: Lock,
}

impl Context {
    /// Over real sockets, as the environment says. Calls nobody.
    pub fn open(args: &Args, time: &Time) -> Result<Self, Failure> {
        let loaded = load(args)?;
        let environment = Environment::read(&args.file)?;
        let beside = Beside::new(&args.file);
        credentials::look(args, &loaded, &environment)?;
        let reach = Reach::open(&loaded.cluster, &environment, sockets(&environment)?, time.clone())?;
        let (lock, schematics) = files::resolve(&loaded.cluster, &reach.clouds);
        let bundle = beside.read_bundle(&environment)?.map(Arc::new);
        let adopt = matches!(args.verb, Verb::Plan { adopt: true, .. } | Verb::Apply { adopt: true, .. });
        let subject = Subject { cluster: loaded.cluster, bundle, schematics, adopt };
        Ok(Context { environment, beside, reach, subject, lock })
    }

    /// Says what in the lock no longer fits the file; whoever applies renews it.
    pub fn tell_stale_lock(&self, teller: &Teller) -> Result<(), Failure> {
        if let Some(there) = self.beside.read_lock()? {
            for stale in there.staleness(&self.subject.cluster) {
                teller.say(&format!("{stale}: `bouquet apply` renews it"));
            }
        }
        Ok(())
    }
}

/// Real sockets, through the mesh proxy that the environment names.
fn sockets(environment: &Environment) -> Result<SharedWire, Failure> {
    let proxy = credentials::mesh_proxy(environment)?;
    let sockets = Sockets::new(proxy).map_err(|error| {
        Failure::new("BQ0602", error.to_string()).help("set SSL_CERT_FILE to a PEM file of the certificates to trust")
    })?;
    Ok(Arc::new(sockets))
}
