//! What changes a project: create, update, delete, power; and what is seen of a machine that does not come up.

use super::types::{Action, Firewall, Labels, Server, Snapshot, SshKey};
use super::{Hetzner, api, found, marks};
use crate::rest::{Ask, refused};
use crate::{Error, Found, Given, Key, Power, State, Wanted, Why};
use serde_json::{Value, json};
use wire::{Call, Line};

impl Hetzner {
    pub(super) async fn create(&self, line: &Line, wanted: &Wanted, given: &Given) -> Result<Found, Error> {
        let cluster = cluster_of(wanted);
        match wanted.key.kind.as_str() {
            "firewall" => {
                let body = json!({
                    "name": wanted.key.name, "labels": wanted.spec["labels"], "rules": wanted.spec["rules"],
                });
                let make = || {
                    api::one::<Firewall>(&self.rest, Ask::create("hetzner POST /firewalls", "/firewalls", body.clone()))
                };
                self.make(line, &cluster, &wanted.key, make, |firewall| found::firewall(&cluster, firewall)).await
            }
            "server" => {
                let image = self.image_id(line, wanted, given).await?;
                let body = server_body(wanted, given, image)?;
                let make =
                    || api::one::<Server>(&self.rest, Ask::create("hetzner POST /servers", "/servers", body.clone()));
                let read = |server| {
                    let mut found = found::server(&cluster, server, &[]);
                    // The answer names firewalls by id, and only once they are applied.
                    found.spec["firewalls"] = wanted.spec["firewalls"].clone();
                    found
                };
                self.make(line, &cluster, &wanted.key, make, read).await
            }
            other => Err(refused("hetzner create", Why::Invalid, format!("bouquet makes no {other} at Hetzner"))),
        }
    }

    /// Sends a create, and when its name is taken or its answer was lost, looks for what is there under that name.
    /// A second create follows a look only: names are unique, so that it cannot make a second thing.
    pub(super) async fn make<T: 'static>(
        &self,
        line: &Line,
        cluster: &str,
        key: &Key,
        call: impl Fn() -> Result<Call<T, Error>, Error>,
        read: impl Fn(T) -> Found,
    ) -> Result<Found, Error> {
        let mut error = match line.send(call()?).await {
            Ok(made) => return Ok(read(made)),
            Err(error) => error,
        };
        if error.why == Why::Trouble {
            if let Some(there) = self.named(line, cluster, key).await? {
                return adopted(there, key, error.call);
            }
            error = match line.send(call()?).await {
                Ok(made) => return Ok(read(made)),
                Err(error) => error,
            };
        }
        match error.why {
            Why::Taken | Why::Trouble => match self.named(line, cluster, key).await? {
                Some(there) => adopted(there, key, error.call),
                None => Err(error),
            },
            _ => Err(error),
        }
    }

    /// Whatever has this name, ours or not, wherever it is.
    pub(super) async fn named(&self, line: &Line, cluster: &str, key: &Key) -> Result<Option<Found>, Error> {
        let filter = [("name", key.name.as_str())];
        let found = match key.kind.as_str() {
            "server" => {
                let list = api::List { filter: &filter, ..api::SERVERS };
                let all: Vec<Server> = api::all(&self.rest, line, &list).await?;
                all.into_iter().next().map(|server| found::server(cluster, server, &[]))
            }
            "firewall" => {
                let list = api::List { filter: &filter, ..api::FIREWALLS };
                let all: Vec<Firewall> = api::all(&self.rest, line, &list).await?;
                all.into_iter().next().map(|firewall| found::firewall(cluster, firewall))
            }
            _ => {
                let list = api::List { filter: &filter, ..api::SSH_KEYS };
                let all: Vec<SshKey> = api::all(&self.rest, line, &list).await?;
                all.into_iter().next().map(|ssh_key| found::ssh_key(cluster, ssh_key))
            }
        };
        Ok(found)
    }

    /// From `given`; else by its marks, so that a caller who did not make the image need not know its id.
    async fn image_id(&self, line: &Line, wanted: &Wanted, given: &Given) -> Result<u64, Error> {
        let call = "hetzner POST /servers";
        let needed = wanted.needs.iter().find(|key| key.kind == "image");
        let needed = needed.ok_or_else(|| refused(call, Why::Invalid, "no image is named for it".into()))?;
        if let Some(id) = given.ids.get(needed).and_then(|id| id.parse().ok()) {
            return Ok(id);
        }
        let cluster = cluster_of(wanted);
        let all: Vec<Snapshot> = api::all(&self.rest, line, &api::SNAPSHOTS).await?;
        all.into_iter()
            .map(|snapshot| (snapshot.id, found::snapshot(&cluster, snapshot)))
            .find(|(_, found)| found.ours && found.key == *needed && found.state == State::Ready)
            .map(|(id, _)| id)
            .ok_or_else(|| refused(call, Why::NotFound, format!("there is no image {}", needed.name)))
    }

    pub(super) async fn update(
        &self,
        line: &Line,
        found: &Found,
        wanted: &Wanted,
        given: &Given,
    ) -> Result<Found, Error> {
        if !found.ours {
            return Err(refused("hetzner update", Why::Forbidden, format!("{} does not bear our mark", found.key)));
        }
        let fixed = ["server_type", "location", "ipv4", "ipv6"];
        if let Some(setting) = fixed.into_iter().find(|name| found.spec.get(name) != wanted.spec.get(name)) {
            let message = format!("{setting} of {} cannot be changed in place", found.key);
            return Err(refused("hetzner update", Why::Invalid, message));
        }
        let mut now = found.clone();
        if found.spec.get("labels") != wanted.spec.get("labels") {
            now.labels = self.relabel(line, found, wanted).await?;
        }
        if found.spec.get("rules") != wanted.spec.get("rules") {
            let name = "hetzner POST /firewalls/{id}/actions/set_rules";
            let path = format!("/firewalls/{}/actions/set_rules", found.id);
            let ask = Ask::act(name, path, json!({ "rules": wanted.spec["rules"] }));
            line.send(self.rest.unit(ask)?).await?;
        }
        if found.spec.get("firewalls") != wanted.spec.get("firewalls") {
            self.attach_firewalls(line, found, wanted, given).await?;
        }
        now.spec = wanted.spec.clone();
        now.node.clone_from(&wanted.node);
        Ok(now)
    }

    /// Labels are replaced as a whole, so what others wrote is sent along.
    async fn relabel(&self, line: &Line, found: &Found, wanted: &Wanted) -> Result<Labels, Error> {
        let mut labels = found.labels.clone();
        labels.retain(|key, _| !marks::is_mark(key));
        labels.extend(labels_of(wanted));
        self.put_labels(line, found, &labels).await?;
        Ok(labels)
    }

    async fn put_labels(&self, line: &Line, found: &Found, labels: &Labels) -> Result<(), Error> {
        let (name, path) = match found.key.kind.as_str() {
            "server" => ("hetzner PUT /servers/{id}", "servers"),
            "image" => ("hetzner PUT /images/{id}", "images"),
            _ => ("hetzner PUT /firewalls/{id}", "firewalls"),
        };
        line.send(self.rest.unit(Ask::put(name, format!("/{path}/{}", found.id), json!({ "labels": labels })))?).await
    }

    pub(super) async fn mark(&self, line: &Line, found: &Found, label: &str, value: Option<&str>) -> Result<(), Error> {
        if !found.ours {
            return Err(refused("hetzner mark", Why::Forbidden, format!("{} does not bear our mark", found.key)));
        }
        let mut labels = found.labels.clone();
        match value {
            Some(value) => drop(labels.insert(label.to_owned(), value.to_owned())),
            None => drop(labels.remove(label)),
        }
        self.put_labels(line, found, &labels).await
    }

    /// Attaches what is missing. What else is attached was somebody's wish and only ever closes more.
    async fn attach_firewalls(&self, line: &Line, found: &Found, wanted: &Wanted, given: &Given) -> Result<(), Error> {
        let attached = found.spec["firewalls"].as_array().cloned().unwrap_or_default();
        let server: u64 = id_of(found)?;
        for key in wanted.needs.iter().filter(|key| key.kind == "firewall") {
            if attached.iter().any(|name| name.as_str() == Some(&key.name)) {
                continue;
            }
            let name = "hetzner POST /firewalls/{id}/actions/apply_to_resources";
            let id = given_id(given, key, name)?;
            let body = json!({ "apply_to": [{ "type": "server", "server": { "id": server } }] });
            let path = format!("/firewalls/{id}/actions/apply_to_resources");
            line.send(self.rest.unit(Ask::act(name, path, body))?).await?;
        }
        Ok(())
    }

    pub(super) async fn delete(&self, line: &Line, found: &Found) -> Result<(), Error> {
        if !found.ours && !found.left_behind {
            return Err(refused("hetzner delete", Why::Forbidden, format!("{} does not bear our mark", found.key)));
        }
        let (name, path) = match found.key.kind.as_str() {
            "server" => ("hetzner DELETE /servers/{id}", "servers"),
            "firewall" => ("hetzner DELETE /firewalls/{id}", "firewalls"),
            "image" => ("hetzner DELETE /images/{id}", "images"),
            "ssh_key" => ("hetzner DELETE /ssh_keys/{id}", "ssh_keys"),
            "volume" => ("hetzner DELETE /volumes/{id}", "volumes"),
            "load_balancer" => ("hetzner DELETE /load_balancers/{id}", "load_balancers"),
            other => return Err(refused("hetzner delete", Why::Invalid, format!("no {other} is ever deleted"))),
        };
        if found.spec.get("attached") == Some(&Value::Bool(true)) {
            let detach = "hetzner POST /volumes/{id}/actions/detach";
            let call = api::act(&self.rest, detach, format!("/volumes/{}/actions/detach", found.id))?;
            match line.send(call).await {
                // A volume that has been detached meanwhile is refused as wrong.
                Ok(()) | Err(Error { why: Why::NotFound | Why::Invalid, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        gone(line.send(self.rest.unit(Ask::delete(name, format!("/{path}/{}", found.id)))?).await)
    }

    pub(super) async fn power(&self, line: &Line, found: &Found, power: Power) -> Result<(), Error> {
        let (name, action) = match (power, &found.state) {
            // A machine that is off cannot be reset.
            (Power::On, _) | (Power::Cycle, State::Off) => ("hetzner POST /servers/{id}/actions/poweron", "poweron"),
            (Power::Off, _) => ("hetzner POST /servers/{id}/actions/poweroff", "poweroff"),
            (Power::Cycle, _) => ("hetzner POST /servers/{id}/actions/reset", "reset"),
        };
        line.send(api::act(&self.rest, name, format!("/servers/{}/actions/{action}", found.id))?).await
    }

    pub(super) async fn diagnose(&self, line: &Line, found: &Found) -> Result<String, Error> {
        let ask = Ask::get("hetzner GET /servers/{id}", format!("/servers/{}", found.id));
        let server = match line.send(api::one::<Server>(&self.rest, ask)?).await {
            Ok(server) => server,
            Err(Error { why: Why::NotFound, .. }) => return Ok(format!("{} is gone", found.key.name)),
            Err(error) => return Err(error),
        };
        let path = format!("/servers/{}/actions", found.id);
        let list = api::List {
            name: "hetzner GET /servers/{id}/actions",
            path: &path,
            field: "actions",
            filter: &[("sort", "id:asc")],
        };
        let actions: Vec<Action> = api::all(&self.rest, line, &list).await?;
        Ok(told(&server, &actions))
    }
}

/// A machine's state and its last actions in plain words.
fn told(server: &Server, actions: &[Action]) -> String {
    let mut words = vec![format!("Hetzner says that {} is {}", server.name, server.status)];
    if server.rescue_enabled {
        words.push("its next boot would be the rescue system".to_owned());
    }
    for action in actions {
        match (&action.error, action.status.as_str()) {
            (Some(error), _) => words.push(format!("{} failed: {} ({})", action.command, error.message, error.code)),
            (None, "running") => words.push(format!("{} is still running", action.command)),
            (None, "error") => words.push(format!("{} failed without a reason", action.command)),
            _ => {}
        }
    }
    if words.len() == 1 {
        words.push("none of its actions failed".to_owned());
    }
    words.join("; ")
}

/// What was found under the name of what could not be made.
fn adopted(there: Found, key: &Key, call: &'static str) -> Result<Found, Error> {
    if there.ours && there.key == *key {
        return Ok(there);
    }
    let whose = if there.ours { "ours, but elsewhere" } else { "not ours" };
    let at = if there.key.region.is_empty() { String::new() } else { format!(" in {}", there.key.region) };
    let message = format!("the name {} is taken by {} {}{at}, which is {whose}", key.name, key.kind, there.id);
    Err(refused(call, Why::Taken, message))
}

/// Gone already is success.
pub(super) fn gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error { why: Why::NotFound, .. }) => Ok(()),
        other => other,
    }
}

fn server_body(wanted: &Wanted, given: &Given, image: u64) -> Result<Value, Error> {
    let call = "hetzner POST /servers";
    let mut firewalls = Vec::new();
    for key in wanted.needs.iter().filter(|key| key.kind == "firewall") {
        firewalls.push(json!({ "firewall": given_id(given, key, call)? }));
    }
    let mut body = json!({
        "name": wanted.key.name,
        "server_type": wanted.spec["server_type"],
        "location": wanted.spec["location"],
        "image": image,
        "labels": wanted.spec["labels"],
        "firewalls": firewalls,
        "public_net": { "enable_ipv4": wanted.spec["ipv4"], "enable_ipv6": wanted.spec["ipv6"] },
        "start_after_create": true,
    });
    if let Some(user_data) = &given.user_data {
        body["user_data"] = user_data.expose().into();
    }
    Ok(body)
}

fn given_id(given: &Given, key: &Key, call: &'static str) -> Result<u64, Error> {
    let id = given.ids.get(key).and_then(|id| id.parse().ok());
    id.ok_or_else(|| refused(call, Why::Invalid, format!("the id of {key} is not known")))
}

pub(super) fn id_of(found: &Found) -> Result<u64, Error> {
    let strange = |_| refused("hetzner", Why::Invalid, format!("{:?} is no id of {}", found.id, found.key));
    found.id.parse().map_err(strange)
}

fn labels_of(wanted: &Wanted) -> Labels {
    let labels = wanted.spec.get("labels").cloned().unwrap_or_default();
    serde_json::from_value(labels).unwrap_or_default()
}

fn cluster_of(wanted: &Wanted) -> String {
    labels_of(wanted).remove(marks::CLUSTER).unwrap_or_default()
}
