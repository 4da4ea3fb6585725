use super::proto::{common, machine};
use super::{Client, ClientError, client::first};
use machine::image_service_pull_response::Response as Pulled;
use machine::lifecycle_service_install_progress::Response as Installing;
use std::time::Duration;

/// What a reset wipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetScope {
    /// The whole system disk: the machine does not boot again.
    SystemDisk,
    /// State and data, so that the machine comes back in maintenance mode, or as its user data says.
    StateAndData,
}

/// How far a long call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bytes of one layer of an image.
    Layer {
        /// Digest.
        layer: String,
        /// Bytes so far.
        done_bytes: i64,
        /// Bytes in all; 0 while unknown.
        total_bytes: i64,
    },
    /// A line of the installer.
    Line(String),
}

impl Client {
    /// Reboots the node. The answer is the actor under which its events tell of the progress; the reboot comes after it.
    pub async fn reboot(&self) -> Result<String, ClientError> {
        let asked = self.asked("Talos Reboot");
        let mut service = self.machine();
        let reply = self.ask(&asked, service.reboot(machine::RebootRequest::default())).await?;
        Ok(first(&asked, reply.messages)?.actor_id)
    }

    /// Wipes the node. `graceful`: cordon, drain and leave etcd first, which needs a live quorum. The answer is the actor
    /// of its events; the wipe comes after it.
    pub async fn reset(&self, scope: ResetScope, graceful: bool, reboot: bool) -> Result<String, ClientError> {
        let asked = self.asked("Talos Reset");
        let wipe = |label: &str| machine::ResetPartitionSpec { label: label.into(), wipe: true };
        let request = machine::ResetRequest {
            graceful,
            reboot,
            system_partitions_to_wipe: match scope {
                ResetScope::SystemDisk => Vec::new(),
                ResetScope::StateAndData => vec![wipe("STATE"), wipe("EPHEMERAL")],
            },
            user_disks_to_wipe: Vec::new(),
            mode: machine::reset_request::WipeMode::SystemDisk.into(),
        };
        let mut service = self.machine();
        let reply = self.ask(&asked, service.reset(request)).await?;
        Ok(first(&asked, reply.messages)?.actor_id)
    }

    /// Fetches the installer image into the node's system containerd, within `limit`. The answer is its name there.
    pub async fn pull_installer(
        &self,
        image: &str,
        limit: Duration,
        mut progress: impl FnMut(Progress),
    ) -> Result<String, ClientError> {
        let asked = self.asked("Talos ImageService/Pull");
        let request =
            machine::ImageServicePullRequest { containerd: Some(system_containerd()), image_ref: image.to_owned() };
        let mut service = self.images();
        let work = async {
            let refused = |status| asked.refused(&status);
            let mut stream = service.pull(request).await.map_err(refused)?.into_inner();
            while let Some(message) = stream.message().await.map_err(refused)? {
                match message.response {
                    Some(Pulled::Name(name)) if !name.is_empty() => return Ok(name),
                    Some(Pulled::PullProgress(layer)) => {
                        let bytes = layer.progress.unwrap_or_default();
                        let (done_bytes, total_bytes) = (bytes.offset, bytes.total);
                        progress(Progress::Layer { layer: layer.layer_id, done_bytes, total_bytes });
                    }
                    _ => {}
                }
            }
            Err(asked.garbled("the pull ended without the image's name"))
        };
        self.within(&asked, limit, work).await
    }

    /// Writes the pulled installer's system beside the running one, within `limit`; a reboot then starts it. It neither checks
    /// etcd nor drains nor locks: that is the caller's part. Since Talos 1.13.
    pub async fn upgrade(
        &self,
        image_name: &str,
        limit: Duration,
        mut progress: impl FnMut(Progress),
    ) -> Result<(), ClientError> {
        let asked = self.asked("Talos LifecycleService/Upgrade");
        let source = machine::InstallArtifactsSource { image_name: image_name.to_owned() };
        let request =
            machine::LifecycleServiceUpgradeRequest { containerd: Some(system_containerd()), source: Some(source) };
        let mut service = self.lifecycle();
        let work = async {
            let refused = |status| asked.refused(&status);
            let mut stream = service.upgrade(request).await.map_err(refused)?.into_inner();
            let mut last_words = String::new();
            let mut exit_code = None;
            while let Some(message) = stream.message().await.map_err(refused)? {
                match message.progress.and_then(|progress| progress.response) {
                    Some(Installing::Message(line)) => {
                        last_words.clone_from(&line);
                        progress(Progress::Line(line));
                    }
                    Some(Installing::ExitCode(code)) => exit_code = Some(code),
                    None => {}
                }
            }
            match exit_code {
                Some(0) => Ok(()),
                Some(exit_code) => Err(ClientError::InstallerFailed { asked: asked.clone(), exit_code, last_words }),
                None => Err(asked.garbled("the upgrade ended without an exit code")),
            }
        };
        self.within(&asked, limit, work).await
    }
}

fn system_containerd() -> common::ContainerdInstance {
    common::ContainerdInstance {
        driver: common::ContainerDriver::Cri.into(),
        namespace: common::ContainerdNamespace::NsSystem.into(),
    }
}
