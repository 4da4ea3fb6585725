use super::Oci;
use super::api::{Ask, Service, escape};
use super::find::subscribed;
use super::mark::{self, INSTANCE, OCI};
use super::model::RegionSubscription;
use crate::{Error, Finding, Found, Need, NeedMachine, Why};
use serde::Deserialize;
use std::collections::BTreeSet;
use wire::Line;

const A1: &str = "VM.Standard.A1.Flex";
const ACCOUNT: &str = "see docs/accounts.md, Oracle Cloud";

#[derive(Clone, Deserialize)]
struct Availability {
    #[serde(default)]
    available: Option<f64>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Compartment {
    #[serde(default)]
    lifecycle_state: Option<String>,
}

impl Oci {
    pub(super) async fn findings(&self, line: &Line, need: &Need) -> Vec<Finding> {
        let machines: Vec<&NeedMachine> = need.machines.iter().filter(|machine| machine.place.cloud == OCI).collect();
        if machines.is_empty() {
            return Vec::new();
        }
        let subscriptions = match self.subscriptions(line).await {
            Ok(subscriptions) => subscriptions,
            // Nothing else can be known without a credential that works.
            Err(error) if is_credential(&error) => return vec![bad("OCI credential", &error, true)],
            Err(error) => return vec![bad("OCI region subscriptions", &error, true)],
        };
        let mut findings = vec![fine("OCI credential", format!("signed in as {}", self.config.user))];
        let regions: BTreeSet<&str> = machines.iter().map(|machine| machine.place.region.as_str()).collect();
        let usable = subscribed(&subscriptions);
        findings.extend(regions.iter().map(|region| subscription(region, &usable)));
        findings.push(self.compartment(line).await);
        let there = self.find_everywhere(line, &need.cluster, &[INSTANCE]).await;
        let there = match there {
            Ok(there) => there,
            Err(error) => {
                findings.push(bad("OCI instances", &error, true));
                return findings;
            }
        };
        for region in regions.into_iter().filter(|region| usable.contains(*region)) {
            findings.extend(self.limits(line, region, &to_come(need, &machines, region, &there)).await);
        }
        findings
    }

    async fn subscriptions(&self, line: &Line) -> Result<Vec<RegionSubscription>, Error> {
        let path = format!("/tenancies/{}/regionSubscriptions", self.config.tenancy);
        let ask = Ask::get("oci GET /regionSubscriptions", Service::Identity, path);
        self.send(line, &self.config.region, &ask).await
    }

    async fn compartment(&self, line: &Line) -> Finding {
        let subject = "OCI compartment";
        let path = format!("/compartments/{}", escape(&self.config.compartment));
        let ask = Ask::<Compartment>::get("oci GET /compartments/ID", Service::Identity, path);
        match self.send(line, &self.config.region, &ask).await {
            Ok(compartment) => match compartment.lifecycle_state.as_deref() {
                None | Some("ACTIVE") => fine(subject, "the compartment can be read".to_owned()),
                Some(other) => broken(subject, Why::Forbidden, true, format!("the compartment is {other}")),
            },
            Err(error) => bad(subject, &error, true),
        }
    }

    /// Cores and memory that A1 machines still to be made need, against what the tenancy has left.
    async fn limits(&self, line: &Line, region: &str, to_come: &[&NeedMachine]) -> Vec<Finding> {
        let sizes: Vec<_> =
            to_come.iter().filter(|one| one.place.machine == A1).filter_map(|one| one.place.size).collect();
        if sizes.is_empty() {
            return Vec::new();
        }
        let cores = sizes.iter().map(|size| size.cpus).sum();
        let memory = sizes.iter().map(|size| size.memory_gib).sum();
        let mut findings = Vec::new();
        for (limit, needed) in [("standard-a1-core-count", cores), ("standard-a1-memory-count", memory)] {
            findings.push(match self.left(line, region, limit).await {
                Ok(left) => enough(limit, needed, left),
                // Reading limits is a right of its own; launching tells just as well.
                Err(error) => bad(&format!("quota: {limit}"), &error, false),
            });
        }
        findings
    }

    /// The sum over the availability domains, each of which has a limit of its own.
    async fn left(&self, line: &Line, region: &str, limit: &str) -> Result<f64, Error> {
        let mut left = 0.0;
        for domain in self.availability_domains(line, region).await? {
            let path = format!(
                "/services/compute/limits/{limit}/resourceAvailability?compartmentId={}&availabilityDomain={}",
                escape(&self.config.tenancy),
                escape(&domain)
            );
            let ask = Ask::<Availability>::get("oci GET /resourceAvailability", Service::Limits, path);
            left += self.send(line, region, &ask).await?.available.unwrap_or(0.0);
        }
        Ok(left)
    }
}

/// Machines of `region` that are not there yet.
fn to_come<'a>(need: &Need, machines: &[&'a NeedMachine], region: &str, there: &[Found]) -> Vec<&'a NeedMachine> {
    let is_there = |machine: &NeedMachine| {
        let key = mark::key(INSTANCE, region, mark::instance_name(&need.cluster, &machine.node));
        there.iter().any(|found| found.ours && found.key == key)
    };
    machines.iter().copied().filter(|one| one.place.region == region && !is_there(one)).collect()
}

fn subscription(region: &str, usable: &BTreeSet<String>) -> Finding {
    let subject = format!("OCI region {region}");
    if usable.contains(region) {
        return fine(&subject, "the tenancy is subscribed to it".to_owned());
    }
    let message = format!("the tenancy is not subscribed to {region}");
    let help = "subscribe to it in the console (Governance, Region Management), or name another region in `on`";
    Finding { help: Some(help.to_owned()), ..broken(&subject, Why::Forbidden, true, message) }
}

/// Not fatal: a cluster comes up without what cannot be had, and a node may have alternatives.
fn enough(limit: &str, needed: u32, left: f64) -> Finding {
    let subject = format!("quota: {limit}");
    if left >= f64::from(needed) {
        return fine(&subject, format!("{needed} needed, {left} left"));
    }
    let help = "ask for a higher limit, upgrade to Pay As You Go, or make the machine smaller (Always Free is \
                2 OCPUs and 12 GB)";
    let finding = broken(&subject, Why::Quota, false, format!("{needed} needed, only {left} left"));
    Finding { help: Some(help.to_owned()), ..finding }
}

fn is_credential(error: &Error) -> bool {
    matches!(error.why, Why::Unauthenticated | Why::ClockSkew)
}

fn fine(subject: &str, message: String) -> Finding {
    Finding { subject: subject.to_owned(), code: None, fatal: false, message, help: None }
}

fn broken(subject: &str, why: Why, fatal: bool, message: String) -> Finding {
    let code = Some(why.code().to_owned());
    Finding { subject: subject.to_owned(), code, fatal, message, help: Some(ACCOUNT.to_owned()) }
}

fn bad(subject: &str, error: &Error, fatal: bool) -> Finding {
    let help = match error.why {
        Why::ClockSkew => "set this machine's clock (NTP)".to_owned(),
        Why::Unauthenticated => {
            format!("user, fingerprint, tenancy and key_file of the OCI profile must belong together; {ACCOUNT}")
        }
        Why::Forbidden | Why::NotFound => format!("the user's group needs a policy that allows it; {ACCOUNT}"),
        _ => ACCOUNT.to_owned(),
    };
    Finding { help: Some(help), ..broken(subject, error.why, fatal, error.to_string()) }
}
