//! Images and upgrades: pull an installer, put the system in it on the other half of A/B, boot it next time.

use super::super::proto::machine as wire;
use super::super::proto::machine::image_service_server::ImageService;
use super::super::proto::machine::lifecycle_service_server::LifecycleService;
use super::super::{Stage, node};
use super::{Answers, Api};
use crate::factory::DiskImage;
use futures::stream::{self, StreamExt as _};
use tonic::{Request, Response, Status};
use wire::image_service_pull_response::Response as Pulled;
use wire::lifecycle_service_progress::Response as Progress;

#[tonic::async_trait]
impl ImageService for Api {
    type PullStream = Answers<wire::ImageServicePullResponse>;

    async fn pull(
        &self,
        request: Request<wire::ImageServicePullRequest>,
    ) -> Result<Response<Self::PullStream>, Status> {
        let reference = request.into_inner().image_ref;
        if reference.is_empty() {
            return Err(Status::invalid_argument("image reference is required"));
        }
        if self.in_maintenance()? {
            return Err(Status::failed_precondition("CRI is not available"));
        }
        if reference.contains("installer") && !self.boot.world.lies("talos-pull-anything") {
            self.system(&reference).map_err(Status::not_found)?;
        }
        let here = self.clone();
        let progress = stream::once(async move {
            here.boot.takes(&format!("pull {reference}"), 6_000, 12_000).await;
            Ok(wire::ImageServicePullResponse { response: Some(Pulled::Name(reference)) })
        });
        Ok(Response::new(progress.boxed()))
    }
}

#[tonic::async_trait]
impl LifecycleService for Api {
    type InstallStream = Answers<wire::LifecycleServiceResponse>;
    type UpgradeStream = Answers<wire::LifecycleServiceResponse>;

    /// Disk images count as installed.
    async fn install(
        &self,
        _request: Request<wire::LifecycleServiceInstallRequest>,
    ) -> Result<Response<Self::InstallStream>, Status> {
        Err(Status::already_exists("Talos is already installed"))
    }

    /// A failure of the installer is an exit code and no error, as in life.
    async fn upgrade(
        &self,
        request: Request<wire::LifecycleServiceUpgradeRequest>,
    ) -> Result<Response<Self::UpgradeStream>, Status> {
        if self.in_maintenance()? {
            return Err(Status::failed_precondition("Talos is not installed"));
        }
        let free = self.look(|state| {
            let node = super::super::node_mut(state, self.boot.id)?;
            let free = !std::mem::replace(&mut node.locked, true);
            let before = node.stage;
            if free {
                node.set_stage(Stage::Upgrading);
            }
            free.then_some(before)
        })?;
        let before = free.ok_or_else(|| Status::failed_precondition("another lifecycle operation is in progress"))?;
        let reference = request.into_inner().source.unwrap_or_default().image_name;
        let (tell, told) = tokio::sync::oneshot::channel();
        let here = self.clone();
        // By itself: a caller who hangs up does not stop the installer.
        self.boot.spawn(async move {
            here.boot.takes(&format!("installer {reference}"), 8_000, 15_000).await?;
            let installed = here.install(&reference);
            here.boot.node(|node| {
                node.locked = false;
                node.set_stage(before);
            })?;
            let _nobody_listens = tell.send(installed);
            Some(())
        });
        let done = stream::once(async move {
            let lines = match told.await {
                Ok(Ok(system)) => {
                    let line = format!("installation of v{} complete", system.talos);
                    vec![Ok(progress(Progress::Message(line))), Ok(progress(Progress::ExitCode(0)))]
                }
                Ok(Err(error)) => {
                    let line = format!("failed: {error}");
                    vec![Ok(progress(Progress::Message(line))), Ok(progress(Progress::ExitCode(1)))]
                }
                Err(_) => vec![Err(Status::unavailable("error reading from server: connection reset by peer"))],
            };
            stream::iter(lines)
        });
        let begun = stream::iter([Ok(progress(Progress::Message("running Talos installer".into())))]);
        Ok(Response::new(begun.chain(done.flatten()).boxed()))
    }
}

fn progress(response: Progress) -> wire::LifecycleServiceResponse {
    wire::LifecycleServiceResponse { progress: Some(wire::LifecycleServiceProgress { response: Some(response) }) }
}

impl Api {
    /// Writes the installer's system to the other half; it boots next.
    pub(super) fn install(&self, reference: &str) -> Result<DiskImage, String> {
        let system = self.system(reference)?;
        let installed = self.look(|state| {
            let disk = state.talos.disks.get_mut(&self.boot.id)?;
            disk.previous = Some(std::mem::replace(&mut disk.system, system.clone()));
            Some(())
        });
        installed.map_err(|status| status.message().to_owned())?.ok_or("no system disk".to_owned())?;
        Ok(system)
    }

    /// The system in an installer image: `HOST/PLATFORM-installer/SCHEMATIC:vVERSION`. The plain `installer` brings the
    /// machine back as platform `metal`, whatever it was (home-operations/tuppr#228).
    fn system(&self, reference: &str) -> Result<DiskImage, String> {
        let unknown = || format!("failed to resolve image {reference:?}: not found");
        let name = reference.split('@').next().unwrap_or_default();
        let (path, tag) = name.rsplit_once(':').ok_or_else(unknown)?;
        let mut parts = path.rsplit('/');
        let (schematic, installer) = (parts.next().ok_or_else(unknown)?, parts.next().ok_or_else(unknown)?);
        let platform = match installer {
            "installer" => "metal",
            other => other.strip_suffix("-installer").ok_or_else(unknown)?,
        };
        let talos = tag.strip_prefix('v').ok_or_else(unknown)?;
        let found = self.look(|state| {
            let arch = node(state, self.boot.id)?.system.arch;
            crate::factory::describe(&state.factory, schematic, talos, platform, arch).ok()
        });
        found.map_err(|status| status.message().to_owned())?.ok_or_else(unknown)
    }
}
