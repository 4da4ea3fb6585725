//! Network security groups: rules for the VNICs that are in them.

use super::super::State;
use super::super::call::{Call, Site, need};
use super::super::crud::Created;
use super::super::reply::{Answer, Refusal, document, nothing};
use super::super::resource::{Common, Lifecycle, Naming, Resource, shelved};
use super::Vnic;
use super::gateways::vcn_ready;
use super::security::{Direction, Rule};
use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const CREATE: &[&str] = &["compartmentId", "definedTags", "displayName", "freeformTags", "vcnId"];
const UPDATE: &[&str] = &["definedTags", "displayName", "freeformTags"];
/// Rules of one group, and of one call.
const RULES_MAX: usize = 120;
const RULES_PER_CALL: usize = 25;

/// A group.
pub(crate) struct NetworkSecurityGroup {
    pub(super) common: Common,
    pub(super) vcn: String,
    pub(super) rules: Vec<GroupRule>,
}

/// A rule of a group.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupRule {
    id: String,
    pub(super) direction: Direction,
    is_valid: bool,
    time_created: Timestamp,
    #[serde(flatten)]
    pub(super) rule: Rule,
}

impl Resource for NetworkSecurityGroup {
    const KIND: &'static str = "networksecuritygroup";
    shelved!(network_security_groups);

    fn fields(&self, _state: &State) -> Value {
        json!({"vcnId": self.vcn})
    }
}

impl NetworkSecurityGroup {
    /// Its rules as the API shows them.
    pub(in crate::oci) fn rules_shown(&self) -> impl Iterator<Item = Value> {
        self.rules.iter().filter_map(|rule| serde_json::to_value(rule).ok())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(flatten)]
    naming: Naming,
    vcn_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RulesDetails {
    security_rules: Option<Vec<Map<String, Value>>>,
    security_rule_ids: Option<Vec<String>>,
}

pub(super) fn routes() -> Router<Site> {
    let one = "/20160918/networkSecurityGroups/{id}";
    Router::new()
        .route("/20160918/networkSecurityGroups", get(list).post(create))
        .route(one, get(read).put(update).delete(delete))
        .route(&format!("{one}/securityRules"), get(list_rules))
        .route(&format!("{one}/vnics"), get(list_vnics))
        .route(&format!("{one}/actions/addSecurityRules"), post(add_rules))
        .route(&format!("{one}/actions/updateSecurityRules"), post(update_rules))
        .route(&format!("{one}/actions/removeSecurityRules"), post(remove_rules))
}

async fn list(call: Call) -> Answer {
    call.list::<NetworkSecurityGroup>(|group| call.query("vcnId").is_none_or(|vcn| vcn == group.vcn))
}

async fn create(call: Call) -> Answer {
    let details: Details = call.details(CREATE)?;
    let vcn = need(details.vcn_id, "vcnId")?;
    let created = call.create(|state| {
        vcn_ready(&call.site, &state.oci, &vcn)?;
        let (region, kind) = (call.site.region.name, NetworkSecurityGroup::KIND);
        let common = Common::new(state, region, kind, details.naming, Lifecycle::Provisioning)?;
        Ok(NetworkSecurityGroup { common, vcn, rules: Vec::new() })
    })?;
    if let Created::New(id) = &created {
        let (from, to) = (Lifecycle::Provisioning, Lifecycle::Available);
        call.site.settle::<NetworkSecurityGroup>(id, from, to, super::vcns::SETTLES_MS);
    }
    call.show::<NetworkSecurityGroup>(created.id())
}

async fn read(Path(id): Path<String>, call: Call) -> Answer {
    call.show::<NetworkSecurityGroup>(&id)
}

async fn update(Path(id): Path<String>, call: Call) -> Answer {
    let naming: Naming = call.details(UPDATE)?;
    call.change::<NetworkSecurityGroup>(&id, |state| {
        call.site.find_mut::<NetworkSecurityGroup>(&mut state.oci, &id)?.common.update(naming)
    })
}

async fn delete(Path(id): Path<String>, call: Call) -> Answer {
    call.delete::<NetworkSecurityGroup>(&id, |_, state| {
        match state.vnics.values().find(|vnic| vnic.groups.contains(&id)) {
            None => Ok(()),
            Some(vnic) => Err(Refusal::incorrect_state(format!(
                "Network Security Group {id} is associated with VNIC {} that is in use.",
                vnic.common.id
            ))),
        }
    })
}

async fn list_rules(Path(id): Path<String>, call: Call) -> Answer {
    let direction = call.query("direction");
    let rules = call.site.world.with(|state| {
        let group = call.site.find::<NetworkSecurityGroup>(&state.oci, &id)?;
        Ok(group.rules_shown().filter(|rule| direction.is_none_or(|word| rule["direction"] == word)).collect())
    })?;
    call.page(rules)
}

async fn list_vnics(Path(id): Path<String>, call: Call) -> Answer {
    let members = call.site.world.with(|state| {
        call.site.find::<NetworkSecurityGroup>(&state.oci, &id)?;
        let is_member = |vnic: &&Vnic| vnic.groups.contains(&id);
        let shown = |vnic: &Vnic| json!({"vnicId": vnic.common.id, "resourceId": vnic.instance});
        Ok(state.oci.vnics.values().filter(is_member).map(shown).collect())
    })?;
    call.page(members)
}

/// Splits a rule as sent into its id, its direction and the rest.
fn parse(mut fields: Map<String, Value>) -> Result<(Option<String>, Direction, Rule), Refusal> {
    let id = fields.remove("id").and_then(|id| id.as_str().map(str::to_owned));
    let direction = fields.remove("direction").ok_or_else(|| Refusal::missing("direction"))?;
    let unreadable = |_| Refusal::invalid("Unable to process JSON input");
    let direction: Direction = serde_json::from_value(direction).map_err(unreadable)?;
    let rule: Rule = serde_json::from_value(Value::Object(fields)).map_err(unreadable)?;
    Ok((id, direction, rule.checked(direction)?))
}

fn parse_all(call: &Call) -> Result<Vec<(Option<String>, Direction, Rule)>, Refusal> {
    let details: RulesDetails = call.details(&["securityRules"])?;
    let rules = need(details.security_rules, "securityRules")?;
    if rules.is_empty() || rules.len() > RULES_PER_CALL {
        return Err(Refusal::invalid(format!("securityRules must hold 1 to {RULES_PER_CALL} rules")));
    }
    rules.into_iter().map(parse).collect()
}

async fn add_rules(Path(id): Path<String>, call: Call) -> Answer {
    let rules = parse_all(&call)?;
    call.site.world.with(|state| {
        let held = call.site.find::<NetworkSecurityGroup>(&state.oci, &id)?.rules.len();
        if held + rules.len() > RULES_MAX {
            return Err(Refusal::limit(&["security-rules-per-network-security-group-count"]));
        }
        let mut added = Vec::new();
        for (_, direction, rule) in rules {
            // Six hexadecimal digits, unique within the group.
            let (id, time_created) = (format!("{:06X}", state.next_id() & 0xff_ffff), state.now());
            added.push(GroupRule { id, direction, is_valid: true, time_created, rule });
        }
        let answer = document(&json!({"securityRules": added}));
        let group = call.site.find_mut::<NetworkSecurityGroup>(&mut state.oci, &id)?;
        group.rules.extend(added);
        group.common.touch();
        Ok(answer)
    })
}

async fn update_rules(Path(id): Path<String>, call: Call) -> Answer {
    let rules = parse_all(&call)?;
    call.site.world.with(|state| {
        let group = call.site.find_mut::<NetworkSecurityGroup>(&mut state.oci, &id)?;
        let mut changed = group.rules.clone();
        for (rule_id, direction, rule) in rules {
            let rule_id = need(rule_id, "id")?;
            let known = changed.iter_mut().find(|known| known.id == rule_id).ok_or_else(Refusal::not_found)?;
            known.direction = direction;
            known.rule = rule;
        }
        group.rules = changed;
        group.common.touch();
        Ok(document(&json!({"securityRules": group.rules})))
    })
}

async fn remove_rules(Path(id): Path<String>, call: Call) -> Answer {
    let details: RulesDetails = call.details(&["securityRuleIds"])?;
    let ids = need(details.security_rule_ids, "securityRuleIds")?;
    call.site.world.with(|state| {
        let group = call.site.find_mut::<NetworkSecurityGroup>(&mut state.oci, &id)?;
        if !ids.iter().all(|id| group.rules.iter().any(|rule| rule.id == *id)) {
            return Err(Refusal::not_found());
        }
        group.rules.retain(|rule| !ids.contains(&rule.id));
        group.common.touch();
        Ok(nothing())
    })
}
