//! Public addresses: ephemeral ones, which come and go with a VNIC, and reserved ones, which are kept.

use super::super::State;
use super::super::call::{Call, Site, need};
use super::super::reply::{Answer, Refusal};
use super::super::resource::{Common, Lifecycle, Naming, Resource, shelved};
use super::Vnic;
use crate::world::State as Everything;
use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

const CREATE: &[&str] =
    &["compartmentId", "definedTags", "displayName", "freeformTags", "lifetime", "privateIpId", "publicIpPoolId"];
const UPDATE: &[&str] = &["definedTags", "displayName", "freeformTags", "privateIpId"];
/// The vendor's range that this world draws from: a /16.
const RANGE: [u8; 2] = [130, 61];

/// A public address.
pub(crate) struct PublicIp {
    pub(super) common: Common,
    address: Ipv4Addr,
    is_reserved: bool,
    /// The private address it stands for.
    private_ip: Option<String>,
    /// Whether the API shows it already.
    is_shown: bool,
    availability_domain: Option<String>,
}

impl Resource for PublicIp {
    const KIND: &'static str = "publicip";
    const LACKS: &'static [&'static str] = &["systemTags"];
    shelved!(public_ips);

    fn fields(&self, _state: &State) -> Value {
        let (lifetime, scope) =
            if self.is_reserved { ("RESERVED", "REGION") } else { ("EPHEMERAL", "AVAILABILITY_DOMAIN") };
        json!({
            "ipAddress": self.address,
            "lifetime": lifetime,
            "scope": scope,
            "privateIpId": self.private_ip,
            "assignedEntityId": self.private_ip,
            "assignedEntityType": self.private_ip.as_ref().map(|_| "PRIVATE_IP"),
            "availabilityDomain": self.availability_domain,
            "publicIpPoolId": null,
        })
    }
}

impl State {
    /// The public address that the API shows for a private one.
    pub(super) fn public_address(&self, private_ip: &str) -> Option<Ipv4Addr> {
        let mut all = self.public_ips.values();
        all.find(|public| public.is_shown && public.private_ip.as_deref() == Some(private_ip)).map(|it| it.address)
    }
}

impl PublicIp {
    fn new(state: &mut Everything, region: &str, naming: Naming, lifecycle: Lifecycle) -> Result<Self, Refusal> {
        let common = Common::new(state, region, PublicIp::KIND, naming, lifecycle)?;
        let address = state.oci.next_public_address();
        let (private_ip, availability_domain) = (None, None);
        Ok(PublicIp { common, address, is_reserved: false, private_ip, is_shown: true, availability_domain })
    }

    /// Gives a VNIC an ephemeral address, which the API does not show before [`PublicIp::show`]. Returns the OCID.
    pub(in crate::oci) fn assign(site: &Site, state: &mut Everything, vnic_id: &str) -> Result<String, Refusal> {
        let vnic = site.find::<Vnic>(&state.oci, vnic_id)?;
        let (private_ip, domain) = (vnic.private_ip.clone(), vnic.availability_domain.clone());
        let naming = Naming { compartment_id: Some(vnic.common.compartment.clone()), ..Naming::default() };
        let mut public = PublicIp::new(state, site.region.name, naming, Lifecycle::Assigned)?;
        public.private_ip = Some(private_ip);
        public.is_shown = false;
        public.availability_domain = Some(domain);
        let id = public.common.id.clone();
        state.oci.public_ips.insert(id.clone(), public);
        Ok(id)
    }

    pub(in crate::oci) fn address(&self) -> IpAddr {
        IpAddr::V4(self.address)
    }

    /// The API shows it from now on.
    pub(in crate::oci) fn show(&mut self) {
        self.is_shown = true;
    }
}

/// What a VNIC that goes leaves behind: ephemeral addresses go with it, reserved ones stay.
pub(in crate::oci) fn release(public_ips: &mut BTreeMap<String, PublicIp>, vnic: &Vnic) {
    let of_vnic = |public: &PublicIp| public.private_ip.as_deref() == Some(&vnic.private_ip);
    public_ips.retain(|_, public| public.is_reserved || !of_vnic(public));
    for public in public_ips.values_mut().filter(|public| of_vnic(public)) {
        public.private_ip = None;
        public.common.enter(Lifecycle::Available);
    }
}

impl State {
    /// The next address that nobody has, in the order of the range.
    fn next_public_address(&mut self) -> Ipv4Addr {
        loop {
            self.public_drawn = self.public_drawn.wrapping_add(1);
            let [high, low] = self.public_drawn.to_be_bytes();
            let [first, second] = RANGE;
            let address = Ipv4Addr::new(first, second, high, low);
            let is_host = !matches!(low, 0 | 255);
            if is_host && self.public_ips.values().all(|public| public.address != address) {
                return address;
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(flatten)]
    naming: Naming,
    lifetime: Option<String>,
    private_ip_id: Option<String>,
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/20160918/publicIps", get(list).post(create))
        .route("/20160918/publicIps/actions/getByIpAddress", post(by_address))
        .route("/20160918/publicIps/actions/getByPrivateIpId", post(by_private))
        .route("/20160918/publicIps/{id}", get(read).put(update).delete(delete))
}

async fn list(call: Call) -> Answer {
    let reserved = match call.required("scope")? {
        "REGION" => true,
        "AVAILABILITY_DOMAIN" => false,
        other => return Err(Refusal::invalid(format!("scope {other} is invalid"))),
    };
    let domain = call.query("availabilityDomain");
    if !reserved && domain.is_none() {
        return Err(Refusal::missing("availabilityDomain"));
    }
    call.list::<PublicIp>(|public| {
        let in_domain = domain.is_none_or(|domain| public.availability_domain.as_deref() == Some(domain));
        public.is_reserved == reserved && in_domain && public.is_shown
    })
}

/// A private address that can be given a public one.
fn check_private(call: &Call, state: &State, private_ip: &str) -> Result<(), Refusal> {
    if !state.vnics.values().any(|vnic| vnic.private_ip == private_ip && call.site.holds(private_ip)) {
        return Err(Refusal::not_found());
    }
    if state.public_ips.values().any(|public| public.private_ip.as_deref() == Some(private_ip)) {
        return Err(Refusal::conflict(format!("The private IP {private_ip} already has a public IP")));
    }
    Ok(())
}

/// Tells the machine behind a private address which public one it has now.
fn tell_machine(state: &mut Everything, private_ip: &str) {
    let instance = state.oci.vnics.values().find(|vnic| vnic.private_ip == private_ip).map(|vnic| &vnic.instance);
    let machine = instance.and_then(|id| state.oci.instances.get(id)).and_then(|instance| instance.machine);
    let public = state.oci.public_address(private_ip).map(IpAddr::V4);
    if let Some(machine) = machine.and_then(|id| state.machines.get_mut(&id)) {
        machine.public = public.into_iter().collect();
    }
}

async fn create(call: Call) -> Answer {
    let details: Details = call.details(CREATE)?;
    let is_reserved = match need(details.lifetime, "lifetime")?.as_str() {
        "RESERVED" => true,
        "EPHEMERAL" => false,
        other => return Err(Refusal::invalid(format!("lifetime {other} is invalid"))),
    };
    if !is_reserved && details.private_ip_id.is_none() {
        return Err(Refusal::missing("privateIpId"));
    }
    let created = call.create(|state| {
        if let Some(private_ip) = &details.private_ip_id {
            check_private(&call, &state.oci, private_ip)?;
        }
        let is_assigned = details.private_ip_id.is_some();
        let lifecycle = if is_assigned { Lifecycle::Assigned } else { Lifecycle::Available };
        let mut public = PublicIp::new(state, call.site.region.name, details.naming, lifecycle)?;
        public.is_reserved = is_reserved;
        public.private_ip.clone_from(&details.private_ip_id);
        Ok(public)
    })?;
    if let Some(private_ip) = &details.private_ip_id {
        call.site.world.with(|state| tell_machine(state, private_ip));
    }
    call.show::<PublicIp>(created.id())
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<PublicIp>(&id)
}

async fn by_address(call: Call) -> Answer {
    let body: Value = call.details(&["ipAddress"])?;
    by(&call, |public| body["ipAddress"] == public.address.to_string())
}

async fn by_private(call: Call) -> Answer {
    let body: Value = call.details(&["privateIpId"])?;
    by(&call, |public| public.private_ip.as_ref().is_some_and(|id| body["privateIpId"] == **id))
}

fn by(call: &Call, fits: impl Fn(&PublicIp) -> bool) -> Answer {
    let found = call.site.world.with(|state| {
        let found = state.oci.public_ips.values().find(|public| public.is_shown && fits(public));
        found.map(|public| public.common.id.clone())
    });
    call.show::<PublicIp>(&found.ok_or_else(Refusal::not_found)?)
}

async fn update(Path(id): Path<String>, call: Call) -> Answer {
    let details: Details = call.details(UPDATE)?;
    call.change::<PublicIp>(&id, |state| {
        let before = call.site.find::<PublicIp>(&state.oci, &id)?.private_ip.clone();
        let Some(wanted) = details.private_ip_id else {
            return call.site.find_mut::<PublicIp>(&mut state.oci, &id)?.common.update(details.naming);
        };
        // An empty id takes the address away from where it is.
        let after = Some(wanted).filter(|id| !id.is_empty());
        if let Some(private_ip) = after.as_ref().filter(|id| before.as_ref() != Some(*id)) {
            check_private(&call, &state.oci, private_ip)?;
        }
        let public = call.site.find_mut::<PublicIp>(&mut state.oci, &id)?;
        if !public.is_reserved {
            return Err(Refusal::invalid("An ephemeral public IP cannot be moved"));
        }
        public.private_ip.clone_from(&after);
        public.common.enter(if after.is_some() { Lifecycle::Assigned } else { Lifecycle::Available });
        public.common.update(details.naming)?;
        for private_ip in before.into_iter().chain(after) {
            tell_machine(state, &private_ip);
        }
        Ok(())
    })
}

async fn delete(Path(id): Path<String>, call: Call) -> Answer {
    let private_ip =
        call.site.world.with(|state| Ok(call.site.find::<PublicIp>(&state.oci, &id)?.private_ip.clone()))?;
    let answer = call.delete::<PublicIp>(&id, |_, _| Ok(()))?;
    if let Some(private_ip) = private_ip {
        call.site.world.with(|state| tell_machine(state, &private_ip));
    }
    Ok(answer)
}
