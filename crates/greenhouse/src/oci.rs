//! Oracle Cloud Infrastructure: identity, network, compute, object storage, work requests, limits.
//!
//! One tenancy with one user, whose API key signs every call. Each region's services share one router; a resource
//! belongs to the region that its OCID names. Resources live on shelves (`State`), one map a kind; what is the same for
//! all kinds is in `resource` and `crud`. Long changes are tasks of the world that look at the state again after each
//! wait, so that a client may delete, cut power or crash in between.
//!
//! Left out: IAM policies (the user may do all), IPv6, NAT, service and peering gateways, block volumes, instance
//! pools, load balancers, launching from boot volumes. A call to these gets 404, a field of them 501.

mod call;
mod compute;
mod crud;
mod identity;
mod inventory;
mod key;
mod limits;
mod network;
mod region;
mod reply;
mod resource;
mod signature;
mod storage;
mod work;

pub(crate) use inventory::inventory;

use crate::machine::MachineId;
use crate::world::{State as Everything, World};
use axum::Router;
use axum::extract::{Request, State as Handle};
use axum::middleware::{self, Next};
use axum::response::Response;
use call::{Call, Site};
use key::UserKey;
use region::{REGIONS, Region};
use reply::{Answer, Refusal, with_header};
use std::collections::BTreeMap;
use std::net::IpAddr;
use wire::Rng;

const BASE32: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
/// The pseudo host of a served world's one endpoint.
const ONE_HOST: &str = "oci.greenhouse";

/// Lies that the emulator can tell.
pub(crate) const LIES: &[crate::Lie] = &[
    ("oci-signature-unchecked", "any signature will do"),
    ("oci-any-key", "whatever key a signature names is the user's"),
    ("oci-unsigned-digest", "the digest of a body need not be signed"),
    ("oci-digest-unchecked", "a body need not be the one that was signed"),
    ("oci-skew-forgiven", "a clock may be off by any amount"),
    ("oci-pages-end-early", "nobody is told that there is a next page"),
    ("oci-page-repeats", "every page but the last begins where the one before it began"),
    ("oci-retry-token-ignored", "a retry token makes a second thing"),
    ("oci-etag-ignored", "a change is made whatever `if-match` says"),
    ("oci-full-vcn-deleted", "a VCN goes with all that is in it"),
    ("oci-used-subnet-deleted", "a subnet goes though a VNIC is in it"),
    ("oci-routed-gateway-deleted", "a gateway goes though a route leads to it"),
    ("oci-vnic-detached-at-once", "no VNIC outlives its instance"),
    ("oci-work-never-ends", "work requests stay IN_PROGRESS"),
    ("oci-tags-lost", "what is made has no free-form tags"),
    ("oci-tags-merged", "new tags are added to the old ones"),
    ("oci-launch-without-size", "a flexible shape needs no shapeConfig"),
    ("oci-usage-uncounted", "limits never say that anything is used"),
    ("oci-object-overwritten", "an object is put though `if-none-match` forbids it"),
    ("oci-part-lost", "the last part of an upload is not in the object"),
    ("oci-md5-unchecked", "a body need not be what its MD5 says"),
];

/// The tenancy, and all it has.
pub(crate) struct State {
    rng: Rng,
    tenancy: String,
    user: String,
    /// Object Storage's namespace.
    namespace: String,
    /// What the tenancy's names of availability domains begin with.
    prefix: String,
    limits: BTreeMap<&'static str, u64>,
    retries: BTreeMap<String, crud::Retry>,
    /// Public addresses drawn so far.
    public_drawn: u16,
    /// Calls answered so far; makes request ids.
    answered: u64,
    compartments: BTreeMap<String, identity::Compartment>,
    vcns: BTreeMap<String, network::Vcn>,
    dhcp_options: BTreeMap<String, network::DhcpOptions>,
    subnets: BTreeMap<String, network::Subnet>,
    internet_gateways: BTreeMap<String, network::InternetGateway>,
    route_tables: BTreeMap<String, network::RouteTable>,
    security_lists: BTreeMap<String, network::SecurityList>,
    network_security_groups: BTreeMap<String, network::NetworkSecurityGroup>,
    vnics: BTreeMap<String, network::Vnic>,
    public_ips: BTreeMap<String, network::PublicIp>,
    instances: BTreeMap<String, compute::Instance>,
    vnic_attachments: BTreeMap<String, compute::VnicAttachment>,
    boot_volumes: BTreeMap<String, compute::BootVolume>,
    boot_volume_attachments: BTreeMap<String, compute::BootVolumeAttachment>,
    console_histories: BTreeMap<String, compute::ConsoleHistory>,
    images: BTreeMap<String, compute::Image>,
    capability_schemas: BTreeMap<String, compute::CapabilitySchema>,
    work_requests: BTreeMap<String, work::WorkRequest>,
    buckets: BTreeMap<String, storage::Bucket>,
}

impl State {
    pub(crate) fn new(rng: &Rng) -> Self {
        let draw = |label: &str, len| rng.child(label).text(BASE32, len);
        let mut state = State {
            rng: rng.clone(),
            tenancy: format!("ocid1.tenancy.oc1..aaaaaaaa{}", draw("tenancy", 52)),
            user: format!("ocid1.user.oc1..aaaaaaaa{}", draw("user", 52)),
            namespace: format!("fr{}", draw("namespace", 10)),
            prefix: rng.child("prefix").text(b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", 4),
            limits: limits::defaults(),
            retries: BTreeMap::new(),
            public_drawn: 0,
            answered: 0,
            compartments: BTreeMap::new(),
            vcns: BTreeMap::new(),
            dhcp_options: BTreeMap::new(),
            subnets: BTreeMap::new(),
            internet_gateways: BTreeMap::new(),
            route_tables: BTreeMap::new(),
            security_lists: BTreeMap::new(),
            network_security_groups: BTreeMap::new(),
            vnics: BTreeMap::new(),
            public_ips: BTreeMap::new(),
            instances: BTreeMap::new(),
            vnic_attachments: BTreeMap::new(),
            boot_volumes: BTreeMap::new(),
            boot_volume_attachments: BTreeMap::new(),
            console_histories: BTreeMap::new(),
            images: BTreeMap::new(),
            capability_schemas: BTreeMap::new(),
            work_requests: BTreeMap::new(),
            buckets: BTreeMap::new(),
        };
        for region in REGIONS {
            let images = compute::platform_images(|order| state.ocid("image", region.name, order));
            state.images.extend(images);
        }
        state
    }

    /// The OCID of the `order`th thing. It sorts by that order; the rest of it is noise.
    fn ocid(&self, kind: &str, region: &str, order: u64) -> String {
        let digit = |at: u32| {
            BASE32.get(usize::try_from(order >> (5 * at) & 31).unwrap_or(0)).map_or('a', |it| char::from(*it))
        };
        let counted: String = (0..8).rev().map(digit).collect();
        let noise = self.rng.child(&format!("{kind} {region} {order}")).text(BASE32, 44);
        format!("ocid1.{kind}.oc1.{region}.aaaaaaaa{counted}{noise}")
    }

    /// A word that cannot be guessed: an etag, an upload's id, an address's secret.
    fn token(&self, what: &str, order: u64) -> String {
        hex::encode(self.rng.child(&format!("{what} {order}")).bytes::<16>())
    }

    /// What signatures call the user's key: `TENANCY/USER/FINGERPRINT`.
    fn key_id(&self) -> String {
        format!("{}/{}/{}", self.tenancy, self.user, UserKey::get().fingerprint)
    }

    /// The tenancy itself is the root compartment.
    fn has_compartment(&self, id: &str) -> bool {
        id == self.tenancy || self.compartments.contains_key(id)
    }

    fn has_domain(&self, region: &Region, name: &str) -> bool {
        region.availability_domains(&self.prefix).iter().any(|known| known == name)
    }
}

/// Whether a fault strikes here, where the state is already at hand.
fn strike(state: &mut Everything, effect: &str, subject: &str) -> Option<String> {
    let struck = state.faults.strike("oci", effect, subject)?;
    state.note(format_args!("fault: oci {effect} for {subject}"));
    Some(struck)
}

/// `OCI_CLI_CONFIG_FILE`, and the texts of two files under their names: `OCI_CONFIG`, which is what it names, and `OCI_KEY`
/// (PEM). Whoever makes real files of them puts their paths in.
pub(crate) fn credentials(state: &Everything) -> Vec<(&'static str, String)> {
    let (oci, key) = (&state.oci, UserKey::get());
    let home = REGIONS.first().map_or("", |region| region.name);
    let config = format!(
        "[DEFAULT]\nuser={}\nfingerprint={}\ntenancy={}\nregion={home}\nkey_file=OCI_KEY\n",
        oci.user, key.fingerprint, oci.tenancy
    );
    vec![("OCI_CLI_CONFIG_FILE", "OCI_CONFIG".into()), ("OCI_CONFIG", config), ("OCI_KEY", key.pem.clone())]
}

/// Puts the services' hosts on the internet.
pub(crate) fn mount(world: &World) {
    for region in REGIONS {
        let site = Site { world: world.clone(), region };
        let router = Router::new()
            .merge(identity::routes())
            .merge(network::routes())
            .merge(compute::routes())
            .merge(storage::routes())
            .merge(work::routes())
            .merge(limits::routes())
            .fallback(unknown)
            .layer(middleware::from_fn_with_state(site.clone(), identify))
            .with_state(site);
        let name = region.name;
        let mut hosts = vec![
            format!("identity.{name}.oci.oraclecloud.com"),
            format!("iaas.{name}.oraclecloud.com"),
            format!("objectstorage.{name}.oraclecloud.com"),
            format!("limits.{name}.oci.oraclecloud.com"),
        ];
        hosts.extend(region.is_home().then(|| ONE_HOST.to_owned()));
        for host in hosts {
            let router = router.clone();
            world.with(|state| state.net.mount(&host, "oci", router));
        }
    }
}

async fn unknown(_call: Call) -> Answer {
    Err(Refusal::not_found())
}

/// Every answer has a request id, which begins with the client's own if it gave one.
async fn identify(Handle(site): Handle<Site>, request: Request, next: Next) -> Response {
    let own = request.headers().get("opc-request-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let response = next.run(request).await;
    let id = site.world.with(|state| {
        state.oci.answered += 1;
        state.oci.token("request", state.oci.answered).to_uppercase()
    });
    let id = own.map_or_else(|| id.clone(), |own| format!("{own}/{id}"));
    with_header(response, "opc-request-id", &id)
}

/// Whether security lists and groups let TCP from `source` to `port` of this instance.
pub(crate) fn admits(state: &Everything, id: MachineId, source: IpAddr, port: u16) -> bool {
    let instance = state.oci.instances.values().find(|instance| instance.machine == Some(id));
    let vnic = instance.and_then(|it| state.oci.vnics.values().find(|vnic| vnic.instance == it.common.id));
    vnic.is_some_and(|vnic| network::admits(&state.oci, vnic, source, port))
}

/// A machine has got or lost power: its instance's state follows.
pub(crate) fn power_changed(state: &mut Everything, id: MachineId, on: bool) {
    compute::power_changed(state, id, on);
}

/// The instance of this machine is no more, and nobody asked.
pub(crate) fn forget(state: &mut Everything, id: MachineId) {
    compute::has_ended(state, id);
}

/// Makes a VCN that is not the product's.
pub(crate) fn foreign(world: &World, name: &str) {
    let region = REGIONS.first().map_or("", |region| region.name);
    // Nothing that can refuse it: the compartment is the root and the range is valid.
    let _ = world.with(|state| network::plant(state, region, name));
}

#[cfg(test)]
mod tests;
