//! The machine API on port 50000: who may ask, where a call goes, and the services that answer.
//!
//! apid's work is `gate`: it knows the caller by certificate (or, in maintenance mode, by nothing), looks at the routing
//! headers, and passes the call on to another node or to this one's services, as `facts` of apid's director say. What
//! the emulator has no answer for is `Unimplemented`, which is also what an older Talos says.

mod access;
mod apply;
mod cosi;
mod etcd;
mod forward;
mod health;
mod images;
mod load;
mod machine;
mod resources;
mod roles;
mod small;
mod streams;

use super::boot::Boot;
use super::proto::{cluster, cosi as cosi_proto, machine as machine_proto, storage};
use super::{Apid, Stage, node};
use axum::Router;
use axum::extract::{Request, State as Handle};
use axum::middleware::{self, Next};
use axum::response::Response;
use futures::stream::BoxStream;
use roles::Roles;
use tonic::Status;

/// A stream of answers.
type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// The services, bound to one boot of one node.
#[derive(Clone)]
struct Api {
    boot: Boot,
}

/// Who calls, once `gate` knows it. In every request's extensions.
#[derive(Clone)]
struct Caller {
    roles: Roles,
    maintenance: bool,
}

/// Larger messages are refused by Talos too.
const MESSAGE_LIMIT_BYTES: usize = 32 << 20;

/// The machine API of a boot.
pub(super) fn router(boot: &Boot) -> Router {
    let api = Api { boot: boot.clone() };
    let machine = machine_proto::machine_service_server::MachineServiceServer::new(api.clone())
        .max_decoding_message_size(MESSAGE_LIMIT_BYTES);
    let images = machine_proto::image_service_server::ImageServiceServer::new(api.clone());
    let lifecycle = machine_proto::lifecycle_service_server::LifecycleServiceServer::new(api.clone());
    let cosi = cosi_proto::state_server::StateServer::new(api.clone());
    let cluster = cluster::cluster_service_server::ClusterServiceServer::new(api.clone());
    let storage = storage::storage_service_server::StorageServiceServer::new(api);
    Router::new()
        .route_service("/machine.MachineService/{call}", machine)
        .route_service("/machine.ImageService/{call}", images)
        .route_service("/machine.LifecycleService/{call}", lifecycle)
        .route_service("/cosi.resource.State/{call}", cosi)
        .route_service("/cluster.ClusterService/{call}", cluster)
        .route_service("/storage.StorageService/{call}", storage)
        .fallback(|| async { Status::unimplemented("unknown service or method").into_http::<axum::body::Body>() })
        .layer(middleware::from_fn_with_state(boot.clone(), gate))
}

async fn gate(Handle(boot): Handle<Boot>, mut request: Request, next: Next) -> Response {
    let maintenance = boot.node(|node| matches!(node.apid, Apid::Maintenance(_)));
    let Some(maintenance) = maintenance else { return refuse(Status::unavailable("connection refused")) };
    let roles = match roles::of(&request, maintenance) {
        Ok(roles) => roles,
        Err(status) => return refuse(status),
    };
    let path = request.uri().path().to_owned();
    if !maintenance {
        match forward::destination(&boot, &request, &path) {
            Err(status) => return refuse(status),
            Ok(forward::To::Here) => {}
            Ok(to) => return forward::send(&boot, request, &roles, to).await,
        }
    }
    // Applying a configuration to a machine in maintenance is for anybody; it is how its owner makes it theirs.
    let open = maintenance && path == "/machine.MachineService/ApplyConfiguration";
    let lies = boot.world.lies("talos-reader-resets") && roles.is_reader() && path == "/machine.MachineService/Reset";
    if !open && !lies && !roles.may_call(&path) {
        return refuse(Status::permission_denied("not authorized"));
    }
    request.extensions_mut().insert(Caller { roles, maintenance });
    next.run(request).await
}

fn refuse(status: Status) -> Response {
    status.into_http()
}

impl Api {
    /// Looks at the world for an answer. A node that is gone has no more answers.
    fn look<R>(&self, work: impl FnOnce(&mut crate::world::State) -> R) -> Result<R, Status> {
        self.boot.with(work).ok_or_else(|| Status::unavailable("connection reset"))
    }

    /// Calls that make no sense before there is a configuration or on the wrong kind of node.
    fn needs_control_plane(&self, what: &str) -> Result<(), Status> {
        let kind = self.look(|state| {
            node(state, self.boot.id).and_then(super::Node::complete).map(|complete| complete.control_plane)
        })?;
        match kind {
            Some(true) => Ok(()),
            Some(false) => Err(Status::unimplemented(format!("{what} is only available on control plane nodes"))),
            None => Err(Status::unimplemented(format!("machine type is not set, cannot use {what} API"))),
        }
    }

    fn in_maintenance(&self) -> Result<bool, Status> {
        self.look(|state| node(state, self.boot.id).is_some_and(|node| node.stage == Stage::Maintenance))
    }

    /// An id for whatever a call sets going.
    fn actor(&self) -> Result<String, Status> {
        let number = self.look(crate::world::State::next_id)?;
        let mut rng = self.boot.world.rng(&format!("actor {number}"));
        let (high, low) = (rng.next_u64(), rng.next_u64());
        Ok(format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        ))
    }
}
