use super::Oci;
use super::api::{Ask, Service};
use super::find::place;
use super::found::{Detail, Names, found};
use super::mark::{self, CLUSTER, INSTANCE, INTERNET_GATEWAY, ROUTE_TABLE, SECURITY_LIST, SUBNET, Tags, VCN};
use super::model::{Instance, InternetGateway, Listed, RouteTable, SecurityList, Subnet, Vcn};
use crate::{Error, Found, Given, Key, State, Wanted, Why};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use wire::Line;

/// How often a resource of one name can have been made and deleted within a day, which is how long Oracle remembers
/// retry tokens.
const GENERATIONS: usize = 16;

impl Oci {
    pub(super) async fn create_one(&self, line: &Line, wanted: &Wanted, given: &Given) -> Result<Found, Error> {
        match wanted.key.kind.as_str() {
            VCN => self.make::<Vcn>(line, wanted, given, "oci POST /vcns").await,
            INTERNET_GATEWAY => self.make::<InternetGateway>(line, wanted, given, "oci POST /internetGateways").await,
            ROUTE_TABLE => self.make::<RouteTable>(line, wanted, given, "oci POST /routeTables").await,
            SECURITY_LIST => self.make::<SecurityList>(line, wanted, given, "oci POST /securityLists").await,
            SUBNET => self.make::<Subnet>(line, wanted, given, "oci POST /subnets").await,
            INSTANCE => self.launch(line, wanted, given).await,
            other => Err(invalid("oci create", format!("there is no way to create a {other}"))),
        }
    }

    async fn make<D>(&self, line: &Line, wanted: &Wanted, given: &Given, call: &'static str) -> Result<Found, Error>
    where
        D: Detail + DeserializeOwned + Clone + 'static,
    {
        let before = self.look::<D>(line, wanted, given).await?;
        if let Some(found) = before.living {
            return Ok(found);
        }
        let body = self.body(call, wanted, given)?;
        self.post::<D>(line, wanted, given, &Making { call, body, dead: before.dead, domain: "" }).await
    }

    /// Tries every availability domain once, each node beginning at another, so that a cluster's machines part.
    async fn launch(&self, line: &Line, wanted: &Wanted, given: &Given) -> Result<Found, Error> {
        let before = self.look::<Instance>(line, wanted, given).await?;
        if let Some(found) = before.living {
            return Ok(found);
        }
        let call = "oci POST /instances";
        let body = self.instance_body(call, wanted, given)?;
        let mut domains = self.availability_domains(line, &wanted.key.region).await?;
        let first = usize::from(Sha256::digest(&wanted.key.name)[0]) % domains.len().max(1);
        domains.rotate_left(first);
        let mut refusal = None;
        for domain in &domains {
            let mut body = body.clone();
            body.insert("availabilityDomain".to_owned(), json!(domain));
            let making = Making { call, body, dead: before.dead, domain };
            match self.post::<Instance>(line, wanted, given, &making).await.map_err(shape_is_capacity) {
                Err(error) if error.why == Why::Capacity => refusal = Some(error),
                settled => return settled,
            }
        }
        let none = || invalid(call, format!("{} has no availability domain", wanted.key.region));
        let refusal = refusal.ok_or_else(none)?;
        let message = format!("{} (in all of {})", refusal.message.trim_end_matches('.'), domains.join(", "));
        Err(Error { message, ..refusal })
    }

    /// Our own of this name, if there is one; names are not unique at Oracle's, so others' do not matter.
    async fn look<D>(&self, line: &Line, wanted: &Wanted, given: &Given) -> Result<Before, Error>
    where
        D: Detail + DeserializeOwned + Clone + 'static,
    {
        let none = || invalid("oci create", format!("{} is not listed anywhere", D::KIND));
        let place = place(D::KIND).ok_or_else(none)?;
        let query = [("compartmentId", self.config.compartment.as_str()), ("displayName", wanted.key.name.as_str())];
        let ask = Ask::list(place.list, Service::Core, place.path, &query);
        let listed: Vec<Listed<D>> = self.all(line, &wanted.key.region, ask).await?;
        Ok(before(&listed, wanted, &names(given)))
    }

    async fn post<D>(&self, line: &Line, wanted: &Wanted, given: &Given, making: &Making<'_>) -> Result<Found, Error>
    where
        D: Detail + DeserializeOwned + Clone + 'static,
    {
        let none = || invalid(making.call, format!("{} is not made anywhere", D::KIND));
        let place = place(D::KIND).ok_or_else(none)?;
        for generation in making.dead..making.dead + GENERATIONS {
            let mut ask = Ask::<Listed<D>>::post(making.call, Service::Core, place.path, &json!(making.body));
            let token = retry_token(cluster_of(wanted), &wanted.key, making.domain, generation);
            ask.headers.push(("opc-retry-token", token));
            match self.send(line, &wanted.key.region, &ask).await {
                // The token made something that is gone since: the next one is fresh.
                Err(error) if is_spent(&error) => {}
                Err(error) => return Err(error),
                Ok(made) => match found(&made, cluster_of(wanted), &wanted.key.region, &names(given)) {
                    Some(found) if found.state != State::Leaving => return Ok(found),
                    _ => {}
                },
            }
        }
        Err(Error {
            call: making.call,
            why: Why::Busy,
            vendor_code: None,
            message: format!("{} was made and deleted {GENERATIONS} times within a day", wanted.key),
        })
    }

    /// The spec with ids in place of names, and what every create needs.
    fn body(&self, call: &'static str, wanted: &Wanted, given: &Given) -> Result<Map<String, Value>, Error> {
        let mut body = with_ids(call, wanted, given)?;
        body.insert("compartmentId".to_owned(), json!(self.config.compartment));
        body.insert("displayName".to_owned(), json!(wanted.key.name));
        body.entry("freeformTags").or_insert_with(|| mark::shared(cluster_of(wanted)));
        Ok(body)
    }

    fn instance_body(&self, call: &'static str, wanted: &Wanted, given: &Given) -> Result<Map<String, Value>, Error> {
        let mut body = self.body(call, wanted, given)?;
        let image = wanted.needs.iter().find(|key| key.kind == mark::IMAGE);
        let image = image.and_then(|key| given.ids.get(key));
        let image = image.ok_or_else(|| invalid(call, "the image is not there yet".to_owned()))?;
        let mut source = json!({"sourceType": "image", "imageId": image});
        if let (Some(size), Some(source)) = (body.remove("bootVolumeSizeInGBs"), source.as_object_mut()) {
            source.insert("bootVolumeSizeInGBs".to_owned(), size);
        }
        body.insert("sourceDetails".to_owned(), source);
        let vnic = json!({"subnetId": body.remove("subnetId"), "assignPublicIp": true});
        body.insert("createVnicDetails".to_owned(), vnic);
        // Talos asks the second version of the metadata service only.
        body.insert("instanceOptions".to_owned(), json!({"areLegacyImdsEndpointsDisabled": true}));
        if let Some(user_data) = &given.user_data {
            body.insert("metadata".to_owned(), json!({"user_data": user_data.expose()}));
        }
        Ok(body)
    }
}

/// What was there before anything was made.
struct Before {
    living: Option<Found>,
    /// How many of our name have been deleted, as far as Oracle still lists them.
    dead: usize,
}

struct Making<'a> {
    call: &'static str,
    body: Map<String, Value>,
    dead: usize,
    /// Availability domain; empty for what has none.
    domain: &'a str,
}

fn before<D: Detail>(listed: &[Listed<D>], wanted: &Wanted, names: &Names) -> Before {
    let cluster = cluster_of(wanted);
    // Emulators and old servers may pass over the filter by name.
    let is_same = |one: &&Listed<D>| one.display_name.as_ref() == Some(&wanted.key.name);
    let ours = listed.iter().filter(is_same).filter(|one| mark::is_of(&one.freeform_tags, cluster));
    let mut before = Before { living: None, dead: 0 };
    for one in ours {
        match found(one, cluster, &wanted.key.region, names) {
            Some(found) if found.state != State::Leaving && found.key.region == wanted.key.region => {
                before.living.get_or_insert(found);
            }
            _ => before.dead += 1,
        }
    }
    before
}

/// Deterministic, so that a run that was cut off after sending repeats itself instead of making a second one.
fn retry_token(cluster: &str, key: &Key, domain: &str, generation: usize) -> String {
    let text = format!("{cluster}\n{}\n{}\n{}\n{domain}\n{generation}", key.kind, key.region, key.name);
    // 64 characters are Oracle's most.
    hex::encode(Sha256::digest(text))
}

fn is_spent(error: &Error) -> bool {
    error.vendor_code.as_deref().is_some_and(|code| code.ends_with("InvalidatedRetryToken"))
}

/// Oracle says "not found" of a shape that an availability domain lacks at the moment (facts G-OCI 2).
fn shape_is_capacity(error: Error) -> Error {
    if error.why == Why::NotFound && error.message.to_ascii_lowercase().contains("shape") {
        return Error { why: Why::Capacity, ..error };
    }
    error
}

/// The mark's value: machines' specs hold it, whatever is shared has its name.
pub(super) fn cluster_of(wanted: &Wanted) -> &str {
    let tags = wanted.spec.get("freeformTags");
    tags.and_then(|tags| tags.get(CLUSTER)).and_then(Value::as_str).unwrap_or(&wanted.key.name)
}

/// Tags to write: those that are there, with the wanted ones over them.
pub(super) fn merged_tags(wanted: &Wanted, there: &Tags) -> Value {
    let mut tags: Map<String, Value> = there.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    for (key, value) in wanted.spec.get("freeformTags").and_then(Value::as_object).into_iter().flatten() {
        tags.insert(key.clone(), value.clone());
    }
    Value::Object(tags)
}

pub(super) fn names(given: &Given) -> Names {
    given.ids.iter().map(|(key, id)| (id.clone(), key.name.clone())).collect()
}

/// The spec, with OCIDs where it names other resources.
pub(super) fn with_ids(call: &'static str, wanted: &Wanted, given: &Given) -> Result<Map<String, Value>, Error> {
    let id = |kind: &str, name: &Value| {
        let name = name.as_str().unwrap_or_default();
        let key = mark::key(kind, &wanted.key.region, name);
        let missing = || invalid(call, format!("{key} is not there yet"));
        given.ids.get(&key).map(|id| json!(id)).ok_or_else(missing)
    };
    let mut body = wanted.spec.as_object().cloned().unwrap_or_default();
    for (field, kind) in [("vcnId", VCN), ("routeTableId", ROUTE_TABLE), ("subnetId", SUBNET)] {
        if let Some(value) = body.get_mut(field) {
            *value = id(kind, value)?;
        }
    }
    for value in body.get_mut("securityListIds").and_then(Value::as_array_mut).into_iter().flatten() {
        *value = id(SECURITY_LIST, value)?;
    }
    for rule in body.get_mut("routeRules").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(value) = rule.get_mut("networkEntityId") {
            *value = id(INTERNET_GATEWAY, value)?;
        }
    }
    Ok(body)
}

pub(super) fn invalid(call: &'static str, message: String) -> Error {
    Error { call, why: Why::Invalid, vendor_code: None, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_token_is_the_same_for_the_same_attempt_and_no_other() {
        let key = mark::key(INSTANCE, "eu-frankfurt-1", "bouquet-tulip");
        let token = retry_token("bouquet", &key, "AD-1", 0);
        assert_eq!(token, retry_token("bouquet", &key, "AD-1", 0));
        assert!(token.len() <= 64);
        let others = [
            retry_token("bouquet", &key, "AD-2", 0),
            retry_token("bouquet", &key, "AD-1", 1),
            retry_token("garden", &key, "AD-1", 0),
        ];
        assert!(!others.contains(&token));
    }

    #[test]
    fn a_missing_shape_is_lack_of_stock_but_a_missing_subnet_is_not() {
        let error = |message: &str| Error {
            call: "oci POST /instances",
            why: Why::NotFound,
            vendor_code: Some("404 NotAuthorizedOrNotFound".into()),
            message: message.into(),
        };
        assert_eq!(shape_is_capacity(error("shape VM.Standard.A1.Flex not found")).why, Why::Capacity);
        assert_eq!(shape_is_capacity(error("subnet not found")).why, Why::NotFound);
    }
}
