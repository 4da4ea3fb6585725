//! What nearly every command needs: the file read, the world reachable, the bundle open.

use crate::args::Args;
use crate::failure::Failure;
use crate::files::{self, Beside};
use crate::render;
use crate::settings::Environment;
use engine::{Reach, Subject};
use spec::{Cluster, Lock, Reading, Severity};
use std::sync::Arc;
use wire::{MeshProxy, Rng, SharedWire, Sockets, Time};

/// The cluster file, read and found good.
pub struct Loaded {
    pub text: String,
    pub reading: Reading,
    pub cluster: Arc<Cluster>,
}

/// Reads the cluster file. Its warnings are told; its errors are the failure.
pub fn load(args: &Args) -> Result<Loaded, Failure> {
    let path = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).map_err(|error| {
        let failure = Failure::system(&path, &error);
        if error.kind() == std::io::ErrorKind::NotFound {
            return failure.help("write one with `bouquet init`, or name another with `-f FILE`");
        }
        failure
    })?;
    let reading = spec::read(&text);
    let (errors, warnings): (Vec<_>, Vec<_>) =
        reading.faults.iter().cloned().partition(|fault| fault.severity == Severity::Error);
    match reading.cluster.clone() {
        Some(cluster) if errors.is_empty() => {
            render::faults(args, &path, &text, &warnings);
            Ok(Loaded { text, reading, cluster: Arc::new(cluster) })
        }
        _ => {
            let message = format!("{path} has {} {}", errors.len(), if errors.len() == 1 { "error" } else { "errors" });
            let code = errors.first().map_or("BQ0601", |fault| fault.code);
            Err(Failure { faults: reading.faults, source: text, ..Failure::new(code, message) })
        }
    }
}

/// Everything a command needs that looks at the world.
pub struct Context {
    pub loaded: Loaded,
    pub environment: Environment,
    pub beside: Beside,
    pub reach: Reach,
    pub subject: Subject,
    pub lock: Lock,
}

impl Context {
    /// Over real sockets, as the environment says.
    pub fn open(args: &Args) -> Result<Self, Failure> {
        let loaded = load(args)?;
        let environment = Environment::read(&args.file);
        let beside = Beside::new(&args.file);
        let rng = Rng::from_entropy().map_err(|error| Failure::system("the system's randomness", &error))?;
        let time = Time::system(rng);
        let reach = Reach::open(&loaded.cluster, &environment, sockets(&environment)?, time)?;
        let (lock, schematics) = files::resolve(&loaded.cluster, &reach.clouds);
        let bundle = beside.read_bundle(&environment)?.map(Arc::new);
        let subject = Subject { cluster: loaded.cluster.clone(), bundle, schematics };
        Ok(Context { loaded, environment, beside, reach, subject, lock })
    }
}

/// Real sockets, through the mesh proxy that the environment names.
fn sockets(environment: &Environment) -> Result<SharedWire, Failure> {
    use clouds::Settings;
    let proxy = match environment.variable("BOUQUET_MESH_PROXY") {
        Some(text) => Some(
            text.expose()
                .parse::<MeshProxy>()
                .map_err(|error| Failure::new("BQ0601", format!("BOUQUET_MESH_PROXY: {error}")))?,
        ),
        None => None,
    };
    let sockets = Sockets::new(proxy).map_err(|error| Failure::system("TLS", &error))?;
    Ok(Arc::new(sockets))
}
