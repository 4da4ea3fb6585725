//! Security rules, and the lists of them that belong to subnets.

use super::super::State;
use super::super::call::{Call, Site, need};
use super::super::reply::{Answer, Refusal};
use super::super::resource::{Common, Lifecycle, Naming, Resource, shelved};
use super::cidr::Cidr;
use super::gateways::vcn_ready;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::IpAddr;

const CREATE: &[&str] = &[
    "compartmentId",
    "definedTags",
    "displayName",
    "egressSecurityRules",
    "freeformTags",
    "ingressSecurityRules",
    "vcnId",
];
const UPDATE: &[&str] = &["definedTags", "displayName", "egressSecurityRules", "freeformTags", "ingressSecurityRules"];
/// Rules of one direction in one list.
const RULES_MAX: usize = 200;
const ALL: &str = "all";
const ICMP: &str = "1";
const TCP: &str = "6";
const UDP: &str = "17";

/// A rule of a list or group, in either direction.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rule {
    /// `all`, or an IP protocol's number.
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_type: Option<String>,
    is_stateless: Option<bool>,
    icmp_options: Option<IcmpOptions>,
    tcp_options: Option<PortOptions>,
    udp_options: Option<PortOptions>,
    description: Option<String>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct IcmpOptions {
    #[serde(rename = "type")]
    kind: u8,
    code: Option<u8>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PortOptions {
    destination_port_range: Option<PortRange>,
    source_port_range: Option<PortRange>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PortRange {
    min: u16,
    max: u16,
}

/// Which way a rule looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Direction {
    Ingress,
    Egress,
}

impl Rule {
    /// Whether it lets TCP from `source` in to `port`. Only meaningful for rules of ingress.
    pub(super) fn admits_tcp(&self, source: IpAddr, port: u16) -> bool {
        let has_source =
            self.source.as_ref().and_then(|text| Cidr::parse(text).ok()).is_some_and(|of| of.contains(source));
        let ports = self.tcp_options.as_ref().and_then(|options| options.destination_port_range.as_ref());
        has_source
            && (self.protocol == ALL || self.protocol == TCP)
            && ports.is_none_or(|ports| (ports.min..=ports.max).contains(&port))
    }

    /// Checks a rule and fills in what the vendor fills in.
    pub(super) fn checked(mut self, direction: Direction) -> Result<Self, Refusal> {
        let (end, kind, other, word) = match direction {
            Direction::Ingress => (&self.source, &mut self.source_type, &self.destination, "source"),
            Direction::Egress => (&self.destination, &mut self.destination_type, &self.source, "destination"),
        };
        let end = end.as_ref().ok_or_else(|| Refusal::missing(word))?;
        if other.is_some() {
            return Err(Refusal::invalid(format!("A rule of this direction has only a {word}")));
        }
        match kind.get_or_insert_with(|| "CIDR_BLOCK".into()).as_str() {
            "CIDR_BLOCK" => drop(Cidr::parse(end)?),
            "NETWORK_SECURITY_GROUP" if end.starts_with("ocid1.networksecuritygroup.") => {}
            "SERVICE_CIDR_BLOCK" => {}
            other => return Err(Refusal::invalid(format!("{word}Type {other} is invalid for {end}"))),
        }
        let is_protocol = self.protocol == ALL || self.protocol.parse::<u8>().is_ok();
        let misplaced = self.tcp_options.is_some() && self.protocol != TCP
            || self.udp_options.is_some() && self.protocol != UDP
            || self.icmp_options.is_some() && !matches!(self.protocol.as_str(), ICMP | "58");
        let options = self.tcp_options.iter().chain(&self.udp_options);
        let empty = |range: &Option<PortRange>| range.as_ref().is_some_and(|it| it.min == 0 || it.min > it.max);
        let is_empty = |it: &PortOptions| empty(&it.destination_port_range) || empty(&it.source_port_range);
        if !is_protocol || misplaced || { options }.any(is_empty) {
            return Err(Refusal::invalid(format!("Invalid security rule for protocol {}", self.protocol)));
        }
        self.is_stateless.get_or_insert(false);
        Ok(self)
    }
}

/// Rules for all machines of a subnet.
pub(crate) struct SecurityList {
    pub(super) common: Common,
    pub(super) vcn: String,
    pub(super) ingress: Vec<Rule>,
    pub(super) egress: Vec<Rule>,
}

impl SecurityList {
    /// What the vendor puts into the list that comes with a VCN: SSH from anywhere, some ICMP, all that goes out.
    pub(super) fn default_of(common: Common, vcn: &str, cidrs: &[Cidr]) -> Self {
        let from = |source: String, protocol: &str| Rule {
            protocol: protocol.into(),
            source: Some(source),
            source_type: Some("CIDR_BLOCK".into()),
            is_stateless: Some(false),
            ..Rule::default()
        };
        let anywhere = || "0.0.0.0/0".to_owned();
        let port = PortRange { min: 22, max: 22 };
        let ssh = PortOptions { destination_port_range: Some(port), source_port_range: None };
        let icmp = |code| Some(IcmpOptions { kind: 3, code });
        let mut ingress = vec![
            Rule { tcp_options: Some(ssh), ..from(anywhere(), TCP) },
            Rule { icmp_options: icmp(Some(4)), ..from(anywhere(), ICMP) },
        ];
        ingress.extend(cidrs.iter().map(|cidr| Rule { icmp_options: icmp(None), ..from(cidr.to_string(), ICMP) }));
        let out = Rule {
            protocol: ALL.into(),
            destination: Some(anywhere()),
            destination_type: Some("CIDR_BLOCK".into()),
            is_stateless: Some(false),
            ..Rule::default()
        };
        SecurityList { common, vcn: vcn.to_owned(), ingress, egress: vec![out] }
    }
}

impl Resource for SecurityList {
    const KIND: &'static str = "securitylist";
    shelved!(security_lists);

    fn fields(&self, _state: &State) -> Value {
        json!({"vcnId": self.vcn, "ingressSecurityRules": self.ingress, "egressSecurityRules": self.egress})
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(flatten)]
    naming: Naming,
    vcn_id: Option<String>,
    ingress_security_rules: Option<Vec<Rule>>,
    egress_security_rules: Option<Vec<Rule>>,
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/20160918/securityLists", get(list).post(create))
        .route("/20160918/securityLists/{id}", get(read).put(update).delete(delete))
}

async fn list(call: Call) -> Answer {
    call.list::<SecurityList>(|list| call.query("vcnId").is_none_or(|vcn| vcn == list.vcn))
}

fn checked(rules: Vec<Rule>, direction: Direction) -> Result<Vec<Rule>, Refusal> {
    if rules.len() > RULES_MAX {
        return Err(Refusal::limit(&["security-rules-per-list-count"]));
    }
    rules.into_iter().map(|rule| rule.checked(direction)).collect()
}

async fn create(call: Call) -> Answer {
    let details: Details = call.details(CREATE)?;
    let vcn = need(details.vcn_id, "vcnId")?;
    let ingress = checked(need(details.ingress_security_rules, "ingressSecurityRules")?, Direction::Ingress)?;
    let egress = checked(need(details.egress_security_rules, "egressSecurityRules")?, Direction::Egress)?;
    let created = call.create(|state| {
        vcn_ready(&call.site, &state.oci, &vcn)?;
        let common =
            Common::new(state, call.site.region.name, SecurityList::KIND, details.naming, Lifecycle::Available)?;
        Ok(SecurityList { common, vcn, ingress, egress })
    })?;
    call.show::<SecurityList>(created.id())
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<SecurityList>(&id)
}

async fn update(Path(id): Path<String>, call: Call) -> Answer {
    let details: Details = call.details(UPDATE)?;
    let ingress = details.ingress_security_rules.map(|rules| checked(rules, Direction::Ingress)).transpose()?;
    let egress = details.egress_security_rules.map(|rules| checked(rules, Direction::Egress)).transpose()?;
    call.change::<SecurityList>(&id, |state| {
        let list = call.site.find_mut::<SecurityList>(&mut state.oci, &id)?;
        list.ingress = ingress.unwrap_or_else(|| std::mem::take(&mut list.ingress));
        list.egress = egress.unwrap_or_else(|| std::mem::take(&mut list.egress));
        list.common.update(details.naming)
    })
}

async fn delete(Path(id): Path<String>, call: Call) -> Answer {
    call.delete::<SecurityList>(&id, |_, state| {
        if let Some(vcn) = state.vcns.values().find(|vcn| vcn.default_security_list == id) {
            let vcn = &vcn.common.id;
            return Err(Refusal::incorrect_state(format!("Security List {id} is the default of VCN {vcn}")));
        }
        match state.subnets.values().find(|subnet| subnet.security_lists.contains(&id)) {
            None => Ok(()),
            Some(subnet) => Err(Refusal::incorrect_state(format!(
                "Security List {id} is associated with Subnet {} that is in use.",
                subnet.common.id
            ))),
        }
    })
}
