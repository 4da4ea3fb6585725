//! The files beside the cluster file: lock and secrets bundle. Written atomically, never half.

use crate::failure::{Failure, Marked};
use crate::settings::Environment;
use clouds::{Cloud, Settings};
use spec::{Cluster, Lock, LockedImage, Place};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use talos::{AgeIdentity, Bundle};
use wire::{Secret, Time};

/// Where things are beside a cluster file.
pub struct Beside {
    folder: PathBuf,
}

impl Beside {
    pub fn new(file: &Path) -> Self {
        Beside { folder: file.parent().unwrap_or(Path::new("")).to_owned() }
    }

    fn lock(&self) -> PathBuf {
        self.folder.join("bouquet.lock")
    }

    fn bundle(&self) -> PathBuf {
        self.folder.join("bouquet.secrets.age")
    }

    /// The secrets bundle, if there is one.
    pub fn read_bundle(&self, environment: &Environment) -> Result<Option<Bundle>, Failure> {
        let path = self.bundle();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::system(&path.display().to_string(), &error)),
        };
        let identities = age_identities(environment)?;
        if identities.expose().trim().is_empty() {
            let key = age_file(environment);
            let message = format!("{} is there, but no age key to open it with", path.display());
            return Err(Failure::new("BQ0304", message).help(format!(
                "put the key that it was made with into {}, or name it in SOPS_AGE_KEY_FILE",
                key.display()
            )));
        }
        Bundle::open(&text, &identities)
            .map(Some)
            .map_err(|error| Failure::new(error.code(), format!("{}: {error}", path.display())).help(error.help()))
    }

    /// Makes a new bundle and keeps it, encrypted for the user's age key, which is made too if there is none.
    pub fn make_bundle(&self, environment: &Environment, time: &Time, talk: &mut dyn Write) -> Result<Bundle, Failure> {
        let bundle = Bundle::generate(&mut time.rng("secrets bundle"), time.now())
            .map_err(|error| Failure::new(error.code(), error.to_string()))?;
        let recipients = recipients(environment, talk)?;
        let sealed = bundle.seal(&recipients).map_err(|error| Failure::new(error.code(), error.to_string()))?;
        write(&self.bundle(), sealed.as_bytes(), 0o600)?;
        Ok(bundle)
    }

    /// The lock, if there is one.
    pub fn read_lock(&self) -> Result<Option<Lock>, Failure> {
        let path = self.lock();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::system(&path.display().to_string(), &error)),
        };
        Lock::read(&text).map(Some).map_err(|fault| {
            let path = path.display().to_string();
            let message = format!("{path} cannot be used");
            Failure::marked(Marked { path, text, faults: vec![fault] }, message)
        })
    }

    /// Writes the lock, unless it says the same already; whether it did.
    pub fn write_lock(&self, lock: &Lock) -> Result<bool, Failure> {
        let text = lock.write();
        if std::fs::read_to_string(self.lock()).is_ok_and(|there| there == text) {
            return Ok(false);
        }
        write(&self.lock(), text.as_bytes(), 0o644)?;
        Ok(true)
    }
}

/// Whom bundles are encrypted for: the user's age key, made here if there is none.
fn recipients(environment: &Environment, talk: &mut dyn Write) -> Result<Vec<String>, Failure> {
    let known = age_identities(environment)?;
    if !known.expose().trim().is_empty() {
        return talos::recipients_of(&known)
            .map_err(|error| Failure::new(error.code(), format!("the age key: {error}")).help(error.help()));
    }
    let path = age_file(environment);
    let made = AgeIdentity::generate();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Failure::system(&folder.display().to_string(), &error))?;
    }
    write(&path, made.key_file().expose().as_bytes(), 0o600)?;
    let _ = writeln!(
        talk,
        "made an age key: {}\n  whoever loses it loses the cluster's secrets and backups: keep a copy of it",
        path.display()
    );
    Ok(vec![made.recipient])
}

/// Where installers are pulled from.
const REGISTRY: &str = "factory.talos.dev";

/// What the words of the cluster file resolve to.
pub fn resolve(cluster: &Cluster, clouds: &[Arc<dyn Cloud>]) -> (Lock, BTreeMap<String, String>) {
    let schematic = talos::Schematic::new([talos::TAILSCALE]);
    let mut images = BTreeMap::new();
    for place in cluster.nodes.values().flat_map(|node| &node.places) {
        let (Some(key), Place::Cloud(at)) = (place.image_key(), place) else { continue };
        let Some(cloud) = clouds.iter().find(|cloud| cloud.name() == at.cloud) else { continue };
        let arch = if key.ends_with("/arm64") { talos::Arch::Arm64 } else { talos::Arch::Amd64 };
        let Some(platform) = talos::Platform::named(cloud.platform()) else { continue };
        let image = LockedImage {
            schematic: schematic.id(),
            image: talos::image_path(&schematic.id(), cluster.talos, platform, arch),
            installer: talos::installer_image(REGISTRY, &schematic.id(), cluster.talos, platform),
            checksum: None,
        };
        images.insert(key, image);
    }
    let extensions = schematic.extensions.iter().cloned().collect();
    let lock = Lock { talos: cluster.talos, kubernetes: cluster.kubernetes, extensions, images };
    let schematics = clouds.iter().map(|cloud| (cloud.name().to_owned(), schematic.id())).collect();
    (lock, schematics)
}

fn age_file(environment: &Environment) -> PathBuf {
    match environment.variable("SOPS_AGE_KEY_FILE") {
        Some(path) => environment.path(path.expose()),
        None => environment.config_dir().join("age.key"),
    }
}

/// The user's age identities: `SOPS_AGE_KEY`, else the key file; empty if there is neither.
fn age_identities(environment: &Environment) -> Result<Secret, Failure> {
    if let Some(key) = environment.variable("SOPS_AGE_KEY") {
        return Ok(key);
    }
    let path = age_file(environment);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Secret::new(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Secret::new("")),
        Err(error) => Err(Failure::system(&path.display().to_string(), &error)),
    }
}

/// Writes a file so that it is either as before or whole. `mode` is for Unix.
pub fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::system(&path.display().to_string(), &error);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        let mut file = options.open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written.map_err(failed)
}
