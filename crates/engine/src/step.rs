//! What each step does: one function a variant, in the room of what it acts on. Each may be cut off anywhere and run again.

mod addon;
mod machine;
mod mesh;
mod node;
mod resource;

pub(crate) use mesh::{api_mark_node, key_node};

use crate::Error;
use crate::event::Listener;
use crate::site::Site;
use plan::{Planned, Step};
use std::sync::Arc;

/// Does one step.
pub(crate) async fn run(site: Arc<Site>, planned: &Planned, listener: Listener) -> Result<(), Error> {
    match &planned.step {
        Step::MakeImage { cloud, image, builder } => {
            resource::make_image(&site, &planned.id, cloud, image, builder, &listener).await
        }
        Step::CreateResource { wanted } => resource::create(&site, wanted).await,
        Step::UpdateResource { found, wanted } => resource::update(&site, found, wanted).await,
        Step::DeleteResource { found } => resource::delete(&site, found).await,
        Step::LaunchMachine { node, wanted, image, contact, .. } => {
            machine::launch(&site, node, wanted, image, *contact).await
        }
        Step::PowerOn { node, found } => machine::power_on(&site, node, found).await,
        Step::Introduce { node, address } => machine::introduce(&site, node, *address).await,
        Step::JoinMesh { node } => mesh::join(&site, node).await,
        Step::DeleteDevice { id, .. } => mesh::delete_device(&site, id).await,
        Step::DeleteKey { id } => mesh::delete_key(&site, id).await,
        Step::ReserveName { name, node } => mesh::reserve_name(&site, name, node).await,
        Step::PointName { name, node, .. } => mesh::point_name(&site, name, node).await,
        Step::DeleteRecord { id, .. } => mesh::delete_record(&site, id).await,
        Step::Configure { node, .. } => node::configure(&site, node).await,
        Step::Bootstrap { node } => node::bootstrap(&site, node).await,
        Step::AwaitReady { node } => node::await_ready(&site, node).await,
        Step::AnnotateNode { node, address, ingress } => addon::annotate(&site, node, *address, *ingress).await,
        Step::InstallAddon { name, adopt, .. } => addon::install(&site, name, *adopt).await,
        Step::AwaitAddon { name } => addon::await_ready(&site, name).await,
        Step::RemoveAddon { name } => addon::remove(&site, name).await,
        Step::StopWatcher => {
            addon::stop_watcher(&site).await;
            Ok(())
        }
        Step::Drain { node } => node::drain(&site, node).await,
        Step::Reset { node } => node::reset(&site, node).await,
        Step::ForgetNode { node } => node::forget(&site, node).await,
    }
}
