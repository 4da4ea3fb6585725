//! `ApplyConfiguration`: replaces the whole configuration, now, later, or for a try.

use super::super::boot::Boot;
use super::super::config::{Config, minor};
use super::super::power::{self, Sequence};
use super::super::proto::machine as wire;
use super::super::{boot, node};
use super::Api;
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tonic::Status;
use wire::apply_configuration_request::Mode;

/// Behind it Talos shows a diff.
const NOT_LIVE: &str = "this config change can't be applied in immediate mode\ndiff:\n";

/// Talos's default for modes that try.
const TRY_FOR: Duration = Duration::from_mins(1);

/// What of `machine` takes effect without a reboot on Talos before 1.14; all of `cluster` does.
const LIVE: &[&str] = &[
    "acceptedCAs",
    "ca",
    "certSANs",
    "controlPlane",
    "install",
    "kernel",
    "kubelet",
    "logging",
    "network",
    "nodeAnnotations",
    "nodeLabels",
    "nodeTaints",
    "pods",
    "registries",
    "seccompProfiles",
    "sysctls",
    "sysfs",
    "time",
];

/// The same of `machine.features`.
const LIVE_FEATURES: &[&str] =
    &["hostDNS", "imageCache", "kubePrism", "kubernetesTalosAPIAccess", "nodeAddressSortAlgorithm"];

impl Api {
    pub(super) fn apply(
        &self,
        request: wire::ApplyConfigurationRequest,
        maintenance: bool,
    ) -> Result<wire::ApplyConfigurationResponse, Status> {
        let asked = Mode::try_from(request.mode).map_err(|_| Status::invalid_argument("unknown mode"))?;
        let (talos, old, locked) = self
            .look(|state| {
                let node = node(state, self.boot.id)?;
                Some((node.system.talos.clone(), node.config.clone(), node.locked))
            })?
            .ok_or_else(|| Status::unavailable("connection reset"))?;
        if locked {
            return Err(Status::failed_precondition("a sequence is in progress"));
        }
        let bytes = Bytes::from(request.data);
        let config = Config::read(&bytes, &talos).map_err(|error| Status::invalid_argument(error.to_string()))?;
        if config.complete.is_none() && !maintenance {
            return Err(Status::invalid_argument("the applied machine configuration doesn't contain v1alpha1 config"));
        }
        let needs_reboot = !maintenance
            && minor(&talos) < 14
            && old.as_ref().is_some_and(|old| rigid(&old.bytes) != rigid(&config.bytes));
        let mode = decide(asked, maintenance, minor(&talos), needs_reboot)?;
        let changes = old.as_ref().is_some_and(|old| old.bytes != config.bytes);
        let details = details(mode, asked, request.dry_run, request.try_mode_timeout, changes);
        let warnings = config.warnings.clone();
        if !request.dry_run {
            self.carry_out(mode, Arc::new(config), old, request.try_mode_timeout)?;
        }
        let message = wire::ApplyConfiguration { metadata: None, warnings, mode: mode.into(), mode_details: details };
        Ok(wire::ApplyConfigurationResponse { messages: vec![message] })
    }

    fn carry_out(
        &self,
        mode: Mode,
        config: Arc<Config>,
        old: Option<Arc<Config>>,
        timeout: Option<prost_types::Duration>,
    ) -> Result<(), Status> {
        if mode != Mode::Try {
            self.look(|state| {
                if let Some(disk) = state.talos.disks.get_mut(&self.boot.id) {
                    disk.config = Some(config.bytes.clone());
                }
            })?;
        }
        match mode {
            Mode::Staged => {}
            Mode::Reboot => power::begin(&self.boot, Sequence::Reboot, &self.actor()?),
            Mode::Auto | Mode::NoReboot => {
                boot::adopt(&self.boot, &config);
                restart_kubelet(&self.boot, old.as_deref(), &config);
            }
            Mode::Try => {
                boot::adopt(&self.boot, &config);
                let after = timeout.and_then(|limit| Duration::try_from(limit).ok()).filter(|limit| !limit.is_zero());
                let (here, limit) = (self.boot.clone(), after.unwrap_or(TRY_FOR));
                self.boot.spawn(async move { roll_back(&here, &config, old, limit).await });
            }
        }
        Ok(())
    }
}

/// Which mode is carried out. From 1.14 on a configuration never reboots a node.
fn decide(asked: Mode, maintenance: bool, minor: u32, needs_reboot: bool) -> Result<Mode, Status> {
    Ok(match asked {
        Mode::Reboot if maintenance => Mode::NoReboot,
        Mode::Reboot if minor >= 14 => return Err(Status::unimplemented("reboot mode is no longer supported")),
        Mode::Auto if needs_reboot => Mode::Reboot,
        Mode::Auto => Mode::NoReboot,
        Mode::NoReboot | Mode::Try if needs_reboot => {
            return Err(Status::invalid_argument(NOT_LIVE));
        }
        other => other,
    })
}

/// In Talos's words. Of the diff that a dry run shows there is only whether there is one.
fn details(mode: Mode, asked: Mode, dry_run: bool, timeout: Option<prost_types::Duration>, changes: bool) -> String {
    let mut what = match mode {
        Mode::Reboot => "Applied configuration with a reboot".to_owned(),
        Mode::Auto | Mode::NoReboot | Mode::Try => "Applied configuration without a reboot".to_owned(),
        Mode::Staged => "Staged configuration to be applied after the next reboot".to_owned(),
    };
    if dry_run {
        let diff = if changes { "The configurations differ." } else { "No changes." };
        return format!("Dry run summary:\n{what} (skipped in dry-run).\nConfig diff:\n\n{diff}");
    }
    if mode == Mode::Try {
        let seconds = timeout.map_or(TRY_FOR.as_secs(), |limit| u64::try_from(limit.seconds).unwrap_or(0));
        let limit = if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) };
        let back = "The config is applied in 'try' mode and will be automatically reverted back in";
        what = format!("{what}\n{back} {limit}");
    }
    if asked == Mode::Auto && mode == Mode::Reboot {
        what = format!("{what}: {NOT_LIVE}");
    }
    what
}

/// What of a configuration is read at boot only.
fn rigid(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_default();
    let v1alpha1 = documents.into_iter().filter(|document| document.get("kind").is_none());
    v1alpha1
        .filter_map(|mut document| {
            let machine = document.get_mut("machine")?.as_object_mut()?;
            machine.retain(|key, _| !LIVE.contains(&key.as_str()));
            if let Some(features) = machine.get_mut("features").and_then(Value::as_object_mut) {
                features.retain(|key, _| !LIVE_FEATURES.contains(&key.as_str()));
            }
            Some(Value::Object(std::mem::take(machine)))
        })
        .collect()
}

async fn roll_back(boot: &Boot, tried: &Arc<Config>, old: Option<Arc<Config>>, limit: Duration) -> Option<()> {
    boot.world.delay(limit).await;
    let still = boot.node(|node| node.config.as_ref().is_some_and(|config| Arc::ptr_eq(config, tried)))?;
    match old.filter(|_| still) {
        Some(old) => boot::adopt(boot, &old),
        None => Some(()),
    }
}

/// Another image: the kubelet stops, its image is pulled, it starts.
fn restart_kubelet(boot: &Boot, old: Option<&Config>, new: &Config) {
    let version = |config: &Config| config.complete.as_ref().map(|complete| complete.kubelet.clone());
    let before = old.and_then(version);
    if before.is_none() || before == version(new) {
        return;
    }
    let here = boot.clone();
    boot.spawn(async move {
        here.service("kubelet", "Stopping", "Sending SIGTERM to task kubelet")?;
        here.service("kubelet", "Preparing", "Running pre state")?;
        here.takes(&format!("kubelet image {}", here.world.now()), 4_000, 8_000).await?;
        here.serve("kubelet", "Started task kubelet (PID 4201) for container kubelet")
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_1_14_on_nothing_that_is_applied_reboots() {
        assert_eq!(decide(Mode::Auto, false, 14, false).unwrap(), Mode::NoReboot);
        assert_eq!(decide(Mode::Reboot, false, 14, false).unwrap_err().code(), tonic::Code::Unimplemented);
        assert_eq!(decide(Mode::Reboot, true, 14, false).unwrap(), Mode::NoReboot);
    }

    #[test]
    fn before_1_14_auto_reboots_for_what_is_read_at_boot() {
        assert_eq!(decide(Mode::Auto, false, 13, true).unwrap(), Mode::Reboot);
        assert!(decide(Mode::NoReboot, false, 13, true).is_err());
        let with = |machine: &str| rigid(format!("machine:\n  {machine}\ncluster: {{}}\n").as_bytes());
        assert_eq!(with("certSANs: [a]"), with("certSANs: [b]"));
        assert_ne!(with("env: {a: b}"), with("env: {a: c}"));
        assert_eq!(with("features: {kubePrism: {enabled: true}}"), with("features: {kubePrism: {enabled: false}}"));
        assert_ne!(with("features: {diskQuotaSupport: true}"), with("features: {diskQuotaSupport: false}"));
    }
}
