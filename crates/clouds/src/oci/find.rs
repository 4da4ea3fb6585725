use super::Oci;
use super::api::{Ask, Service};
use super::found::{Detail, Names, found, found_bucket};
use super::mark::{BUCKET, IMAGE, INSTANCE, INTERNET_GATEWAY, KINDS, ROUTE_TABLE, SECURITY_LIST, SUBNET, VCN};
use super::model::{
    AvailabilityDomain, Bucket, Image, Instance, InternetGateway, Listed, PrivateIp, PublicIp, RegionSubscription,
    RouteTable, SecurityList, Subnet, Vcn, VnicAttachment,
};
use crate::{Error, Found, Why};
use futures::future::{try_join, try_join_all};
use futures::try_join;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use wire::Line;

/// Where a kind of Core resource is listed and made, and what the calls are called.
pub(super) struct Place {
    pub path: &'static str,
    pub list: &'static str,
}

/// `None` for buckets, which have a service of their own.
pub(super) fn place(kind: &str) -> Option<Place> {
    let (path, list) = match kind {
        INSTANCE => ("/instances", "oci GET /instances"),
        SUBNET => ("/subnets", "oci GET /subnets"),
        ROUTE_TABLE => ("/routeTables", "oci GET /routeTables"),
        SECURITY_LIST => ("/securityLists", "oci GET /securityLists"),
        INTERNET_GATEWAY => ("/internetGateways", "oci GET /internetGateways"),
        VCN => ("/vcns", "oci GET /vcns"),
        IMAGE => ("/images", "oci GET /images"),
        _ => return None,
    };
    Some(Place { path, list })
}

impl Oci {
    /// Regions that the tenancy is subscribed to: resources of a node that has left the file may be in any of them.
    /// A user who may not see subscriptions is taken to have one region, the profile's.
    pub(super) async fn regions(&self, line: &Line) -> Result<Vec<String>, Error> {
        let path = format!("/tenancies/{}/regionSubscriptions", self.config.tenancy);
        let ask = Ask::<Vec<RegionSubscription>>::get("oci GET /regionSubscriptions", Service::Identity, path);
        match self.send(line, &self.config.region, &ask).await {
            Ok(subscriptions) => Ok(subscribed(&subscriptions).into_iter().collect()),
            Err(error) if matches!(error.why, Why::NotFound | Why::Forbidden) => Ok(vec![self.config.region.clone()]),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn find_everywhere(
        &self,
        line: &Line,
        cluster: &str,
        kinds: &[&str],
    ) -> Result<Vec<Found>, Error> {
        let kinds = if kinds.is_empty() { &KINDS } else { kinds };
        // One endpoint for all regions answers each of them alike: asking once is enough.
        let regions = match &self.endpoint {
            Some(_) => vec![self.config.region.clone()],
            None => self.regions(line).await?,
        };
        let looks = regions.iter().map(|region| self.find_in(line, region, cluster, kinds));
        Ok(try_join_all(looks).await?.into_iter().flatten().collect())
    }

    async fn find_in(&self, line: &Line, region: &str, cluster: &str, kinds: &[&str]) -> Result<Vec<Found>, Error> {
        let wants = |kind: &str| kinds.contains(&kind);
        let is_network = [SUBNET, ROUTE_TABLE, SECURITY_LIST, INTERNET_GATEWAY, VCN].iter().any(|kind| wants(kind));
        // The specs of network resources name each other, so that one of them asks for all.
        let list = |kind: &str| if is_network || wants(kind) { place(kind) } else { None };
        let (vcns, gateways, tables, filters, subnets) = try_join!(
            self.listed::<Vcn>(line, region, list(VCN).filter(|_| is_network)),
            self.listed::<InternetGateway>(line, region, list(INTERNET_GATEWAY).filter(|_| is_network)),
            self.listed::<RouteTable>(line, region, list(ROUTE_TABLE).filter(|_| is_network)),
            self.listed::<SecurityList>(line, region, list(SECURITY_LIST).filter(|_| is_network)),
            self.listed::<Subnet>(line, region, place(SUBNET).filter(|_| is_network || wants(INSTANCE))),
        )?;
        let (instances, images, buckets) = try_join!(
            self.instances(line, region, cluster, wants(INSTANCE)),
            self.listed::<Image>(line, region, place(IMAGE).filter(|_| wants(IMAGE))),
            self.buckets(line, region, wants(BUCKET)),
        )?;
        let mut names = Names::new();
        names.extend(naming(&vcns));
        names.extend(naming(&gateways));
        names.extend(naming(&tables));
        names.extend(naming(&filters));
        names.extend(naming(&subnets));
        let mut all = instances.found(cluster, region, &names);
        all.extend(sorted(&subnets, cluster, region, &names));
        all.extend(sorted(&tables, cluster, region, &names));
        all.extend(sorted(&filters, cluster, region, &names));
        all.extend(sorted(&gateways, cluster, region, &names));
        all.extend(sorted(&vcns, cluster, region, &names));
        all.extend(sorted(&images, cluster, region, &names));
        all.extend(buckets.iter().filter_map(|bucket| found_bucket(bucket, cluster, region)));
        all.retain(|one| wants(&one.key.kind));
        Ok(all)
    }

    async fn listed<D>(&self, line: &Line, region: &str, place: Option<Place>) -> Result<Vec<Listed<D>>, Error>
    where
        D: DeserializeOwned + Clone + 'static,
    {
        let Some(place) = place else { return Ok(Vec::new()) };
        let query = [("compartmentId", self.config.compartment.as_str())];
        let ask = Ask::list(place.list, Service::Core, place.path, &query);
        let mut all: Vec<Listed<D>> = self.all(line, region, ask).await?;
        // Oracle's own images are listed in every compartment, and are in none.
        all.retain(|one| one.compartment_id.as_deref().is_none_or(|id| id == self.config.compartment));
        Ok(all)
    }

    async fn buckets(&self, line: &Line, region: &str, wanted: bool) -> Result<Vec<Bucket>, Error> {
        if !wanted {
            return Ok(Vec::new());
        }
        let namespace = self.namespace(line, region).await?;
        let query = [("compartmentId", self.config.compartment.as_str()), ("fields", "tags")];
        let ask = Ask::list("oci GET /b", Service::ObjectStorage, &format!("/n/{namespace}/b"), &query);
        self.all(line, region, ask).await
    }

    /// Instances with their addresses. Asking each VNIC would cost a call a machine; the lists of public and private
    /// addresses cost one an availability domain and one a subnet.
    async fn instances(&self, line: &Line, region: &str, cluster: &str, wanted: bool) -> Result<Instances, Error> {
        if !wanted {
            return Ok(Instances::default());
        }
        let compartment = [("compartmentId", self.config.compartment.as_str())];
        let vnics = Ask::list("oci GET /vnicAttachments", Service::Core, "/vnicAttachments", &compartment);
        let (instances, attachments) =
            try_join(self.listed::<Instance>(line, region, place(INSTANCE)), self.all(line, region, vnics)).await?;
        let ours: BTreeSet<&str> = instances
            .iter()
            .filter(|one| found(*one, cluster, region, &Names::new()).is_some_and(|found| found.ours))
            .map(|one| one.id.as_str())
            .collect();
        let attachments: Vec<VnicAttachment> = attachments;
        let attachments: Vec<VnicAttachment> = attachments
            .into_iter()
            .filter(|one| ours.contains(one.instance_id.as_str()) && one.lifecycle_state.as_deref() != Some("DETACHED"))
            .collect();
        let subnets: BTreeSet<String> = attachments.iter().filter_map(|one| one.subnet_id.clone()).collect();
        if subnets.is_empty() {
            return Ok(Instances { listed: instances, attachments, ..Instances::default() });
        }
        let (private, public) =
            try_join(self.private_ips(line, region, &subnets), self.public_ips(line, region)).await?;
        Ok(Instances { listed: instances, attachments, private, public })
    }

    async fn private_ips(
        &self,
        line: &Line,
        region: &str,
        subnets: &BTreeSet<String>,
    ) -> Result<Vec<PrivateIp>, Error> {
        let lists = subnets.iter().map(|subnet| {
            let query = [("subnetId", subnet.as_str())];
            self.all(line, region, Ask::list("oci GET /privateIps", Service::Core, "/privateIps", &query))
        });
        Ok(try_join_all(lists).await?.into_iter().flatten().collect())
    }

    async fn public_ips(&self, line: &Line, region: &str) -> Result<Vec<PublicIp>, Error> {
        let domains = self.availability_domains(line, region).await?;
        let lists = domains.iter().map(|domain| {
            let query = [
                ("scope", "AVAILABILITY_DOMAIN"),
                ("availabilityDomain", domain.as_str()),
                ("lifetime", "EPHEMERAL"),
                ("compartmentId", self.config.compartment.as_str()),
            ];
            self.all(line, region, Ask::list("oci GET /publicIps", Service::Core, "/publicIps", &query))
        });
        Ok(try_join_all(lists).await?.into_iter().flatten().collect())
    }

    /// Names such as `FeVO:EU-FRANKFURT-1-AD-1`; the prefix differs from tenancy to tenancy.
    pub(super) async fn availability_domains(&self, line: &Line, region: &str) -> Result<Vec<String>, Error> {
        let path = format!("/availabilityDomains?compartmentId={}", self.config.tenancy);
        let ask = Ask::<Vec<AvailabilityDomain>>::get("oci GET /availabilityDomains", Service::Identity, path);
        Ok(self.send(line, region, &ask).await?.into_iter().map(|domain| domain.name).collect())
    }
}

/// Regions that can be used already.
pub(super) fn subscribed(subscriptions: &[RegionSubscription]) -> BTreeSet<String> {
    let usable = subscriptions.iter().filter(|one| one.status.as_deref() != Some("IN_PROGRESS"));
    usable.map(|one| one.region_name.clone()).collect()
}

fn naming<D>(listed: &[Listed<D>]) -> impl Iterator<Item = (String, String)> {
    listed.iter().filter_map(|one| Some((one.id.clone(), one.display_name.clone()?)))
}

fn sorted<D: Detail>(listed: &[Listed<D>], cluster: &str, region: &str, names: &Names) -> Vec<Found> {
    listed.iter().filter_map(|one| found(one, cluster, region, names)).collect()
}

#[derive(Default)]
struct Instances {
    listed: Vec<Listed<Instance>>,
    attachments: Vec<VnicAttachment>,
    private: Vec<PrivateIp>,
    public: Vec<PublicIp>,
}

impl Instances {
    fn found(&self, cluster: &str, region: &str, names: &Names) -> Vec<Found> {
        let vnics: BTreeMap<&str, &str> =
            self.private.iter().filter_map(|one| Some((one.id.as_str(), one.vnic_id.as_deref()?))).collect();
        let mut public: BTreeMap<&str, Vec<IpAddr>> = BTreeMap::new();
        for one in &self.public {
            let vnic = one.assigned_entity_id.as_deref().and_then(|id| vnics.get(id));
            let address = one.ip_address.as_deref().and_then(|text| text.parse().ok());
            if let (Some(vnic), Some(address)) = (vnic, address) {
                public.entry(vnic).or_default().push(address);
            }
        }
        let mut all = sorted(&self.listed, cluster, region, names);
        for one in &mut all {
            for attachment in self.attachments.iter().filter(|attachment| attachment.instance_id == one.id) {
                let vnic = attachment.vnic_id.as_deref().unwrap_or_default();
                one.addresses.extend(public.get(vnic).into_iter().flatten());
                if let (Some(subnet), Some(spec)) = (&attachment.subnet_id, one.spec.as_object_mut()) {
                    let name = names.get(subnet).unwrap_or(subnet);
                    spec.entry("subnetId").or_insert_with(|| Value::from(name.clone()));
                }
            }
        }
        all
    }
}
