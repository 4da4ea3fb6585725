//! `ApplyConfiguration`: replaces the whole configuration, now, later, or for a try.

mod diff;

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

/// Talos's default for modes that try.
const TRY_FOR: Duration = Duration::from_mins(1);

/// What of `machine` takes effect without a reboot on Talos before 1.14 (`CanApplyImmediate`); all of `cluster` does.
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
            return Err(Status::failed_precondition(
                "configuration was already applied and node is rebooting, cannot apply more configuration changes until next reboot",
            ));
        }
        let bytes = Bytes::from(request.data);
        let config = Config::read(&bytes, &talos).map_err(|error| Status::invalid_argument(error.to_string()))?;
        if config.complete.is_none() && !maintenance {
            return Err(Status::invalid_argument(
                "the applied machine configuration doesn't contain v1alpha1 config, did you mean to patch the machine config instead?",
            ));
        }
        let old_bytes = old.as_ref().map(|old| old.bytes.clone()).unwrap_or_default();
        let rigid_difference =
            (!maintenance && minor(&talos) < 14).then(|| diff::unified(&rigid(&old_bytes), &rigid(&config.bytes)));
        let not_live = rigid_difference
            .filter(|difference| !difference.is_empty())
            .map(|difference| format!("this config change can't be applied in immediate mode\ndiff:\n{difference}"));
        let mode = decide(asked, maintenance, minor(&talos), not_live.as_deref())?;
        let mut details = sentence(mode).to_owned();
        let world = &self.boot.world;
        if request.dry_run && !world.lies("talos-dry-run-applies") {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
            let changes = match diff::unified(&text(&old_bytes), &text(&config.bytes)) {
                none if none.is_empty() => "No changes.".to_owned(),
                some => some,
            };
            let details = format!("Dry run summary:\n{details} (skipped in dry-run).\nConfig diff:\n\n{changes}");
            return Ok(reply(Vec::new(), mode, details));
        }
        let warnings = config.warnings.clone();
        let try_for = try_time(request.try_mode_timeout);
        if mode == Mode::Try {
            let limit = go_duration(try_for);
            details += "\nThe config is applied in 'try' mode and will be automatically reverted back in ";
            details += &limit;
        }
        if asked == Mode::Auto
            && let Some(why) = not_live
        {
            details += ": ";
            details += &why;
        }
        if !world.lies("talos-apply-forgets") {
            self.carry_out(mode, Arc::new(config), old, try_for)?;
        }
        Ok(reply(warnings, mode, details))
    }

    fn carry_out(
        &self,
        mode: Mode,
        config: Arc<Config>,
        old: Option<Arc<Config>>,
        try_for: Duration,
    ) -> Result<(), Status> {
        if mode != Mode::Try {
            self.look(|state| {
                if let Some(disk) = state.talos.disks.get_mut(&self.boot.id) {
                    disk.config = Some(config.bytes.clone());
                }
            })?;
        }
        match mode {
            Mode::Staged if self.boot.world.lies("talos-staged-now") => drop(boot::adopt(&self.boot, &config)),
            Mode::Staged => {}
            Mode::Reboot => power::begin(&self.boot, Sequence::Reboot, &self.actor()?),
            Mode::Auto | Mode::NoReboot => {
                boot::adopt(&self.boot, &config);
                restart_kubelet(&self.boot, old.as_deref(), &config);
            }
            Mode::Try => {
                boot::adopt(&self.boot, &config);
                let here = self.boot.clone();
                if !here.world.lies("talos-try-stays") {
                    self.boot.spawn(async move { roll_back(&here, &config, old, try_for).await });
                }
            }
        }
        Ok(())
    }
}

fn reply(warnings: Vec<String>, mode: Mode, mode_details: String) -> wire::ApplyConfigurationResponse {
    let message = wire::ApplyConfiguration { metadata: None, warnings, mode: mode.into(), mode_details };
    wire::ApplyConfigurationResponse { messages: vec![message] }
}

/// Which mode is carried out. From 1.14 on a configuration never reboots a node. `not_live` says what cannot be changed
/// without one.
fn decide(asked: Mode, maintenance: bool, minor: u32, not_live: Option<&str>) -> Result<Mode, Status> {
    match (asked, not_live) {
        (Mode::Reboot, _) if maintenance => Ok(Mode::NoReboot),
        (Mode::Reboot, _) if minor >= 14 => Err(Status::unimplemented("reboot mode is no longer supported")),
        (Mode::Auto, Some(_)) => Ok(Mode::Reboot),
        (Mode::Auto, None) => Ok(Mode::NoReboot),
        (Mode::NoReboot | Mode::Try, Some(why)) => Err(Status::invalid_argument(why)),
        (other, _) => Ok(other),
    }
}

fn sentence(mode: Mode) -> &'static str {
    match mode {
        Mode::Reboot => "Applied configuration with a reboot",
        Mode::Auto | Mode::NoReboot | Mode::Try => "Applied configuration without a reboot",
        Mode::Staged => "Staged configuration to be applied after the next reboot",
    }
}

fn try_time(asked: Option<prost_types::Duration>) -> Duration {
    asked.and_then(|limit| Duration::try_from(limit).ok()).unwrap_or(TRY_FOR)
}

/// As Go writes a duration of whole seconds: `1m0s`.
fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// What of a configuration is read at boot only.
fn rigid(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_default();
    let v1alpha1 = documents.into_iter().filter(|document| document.get("kind").is_none());
    let machines = v1alpha1.filter_map(|mut document| {
        let machine = document.get_mut("machine")?.as_object_mut()?;
        machine.retain(|key, _| !LIVE.contains(&key.as_str()));
        if let Some(features) = machine.get_mut("features").and_then(Value::as_object_mut) {
            features.retain(|key, _| !LIVE_FEATURES.contains(&key.as_str()));
        }
        serde_saphyr::to_string(&std::mem::take(machine)).ok()
    });
    machines.collect()
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
        assert_eq!(decide(Mode::Auto, false, 14, None).unwrap(), Mode::NoReboot);
        assert_eq!(decide(Mode::Reboot, false, 14, None).unwrap_err().code(), tonic::Code::Unimplemented);
        assert_eq!(decide(Mode::Reboot, true, 14, None).unwrap(), Mode::NoReboot);
    }

    #[test]
    fn before_1_14_auto_reboots_for_what_is_read_at_boot() {
        assert_eq!(decide(Mode::Auto, false, 13, Some("env")).unwrap(), Mode::Reboot);
        assert_eq!(decide(Mode::Try, false, 13, Some("env")).unwrap_err().code(), tonic::Code::InvalidArgument);
        let with = |machine: &str| rigid(format!("machine:\n  {machine}\ncluster: {{}}\n").as_bytes());
        assert_eq!(with("certSANs: [a]"), with("certSANs: [b]"));
        assert_eq!(with("features: {hostDNS: {enabled: true}}"), with("features: {hostDNS: {enabled: false}}"));
        assert_ne!(with("features: {rbac: true}"), with("features: {rbac: false}"));
        assert_ne!(with("env: {a: b}"), with("env: {a: c}"));
        assert_eq!(with("features: {kubePrism: {enabled: true}}"), with("features: {kubePrism: {enabled: false}}"));
        assert_ne!(with("features: {diskQuotaSupport: true}"), with("features: {diskQuotaSupport: false}"));
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let written = [45, 60, 90, 3600].map(|seconds| go_duration(Duration::from_secs(seconds)));
        assert_eq!(written, ["45s", "1m0s", "1m30s", "1h0m0s"]);
    }
}
