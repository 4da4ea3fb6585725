//! What a container finds when it starts: arguments, variables and files, from its pod and the objects that the pod names.

use crate::kube::resource::find;
use crate::kube::store::Key;
use crate::kube::{Cluster, tokens};
use base64::Engine as _;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where the service account's files are.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The API's own service, the first address of Talos's service range.
const API_HOST: &str = "10.96.0.1";

/// What a container finds.
pub(super) struct Environment {
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Why a container cannot start, as its status says it: reason and message.
pub(super) type Missing = (&'static str, String);

/// Gathers it.
pub(super) fn of(cluster: &Cluster, pod: &Value, container: &Value, now: Timestamp) -> Result<Environment, Missing> {
    let source = Source { cluster, pod, now };
    let env = source.variables(container)?;
    let args = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let args = args.map(|arg| expanded(arg, &env)).collect();
    Ok(Environment { args, files: source.files(container)?, env })
}

struct Source<'a> {
    cluster: &'a Cluster,
    pod: &'a Value,
    now: Timestamp,
}

impl Source<'_> {
    fn variables(&self, container: &Value) -> Result<BTreeMap<String, String>, Missing> {
        let mut env = BTreeMap::from([
            ("KUBERNETES_SERVICE_HOST".to_owned(), API_HOST.to_owned()),
            ("KUBERNETES_SERVICE_PORT".to_owned(), "443".to_owned()),
        ]);
        for from in container["envFrom"].as_array().into_iter().flatten() {
            let prefix = from["prefix"].as_str().unwrap_or_default();
            for (plural, field) in [("configmaps", "configMapRef"), ("secrets", "secretRef")] {
                let reference = &from[field];
                let Some(name) = reference["name"].as_str() else { continue };
                let Some(data) = self.data(plural, name) else {
                    require(reference, plural, name)?;
                    continue;
                };
                env.extend(data.into_iter().map(|(key, value)| (format!("{prefix}{key}"), text(&value))));
            }
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            let Some(name) = variable["name"].as_str() else { continue };
            let from = &variable["valueFrom"];
            let value = match variable["value"].as_str() {
                Some(value) => Some(expanded(value, &env)),
                None if from.is_null() => Some(String::new()),
                None => self.value_from(from)?,
            };
            if let Some(value) = value {
                env.insert(name.to_owned(), value);
            }
        }
        Ok(env)
    }

    fn value_from(&self, from: &Value) -> Result<Option<String>, Missing> {
        if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
            return Ok(Some(self.field(path)));
        }
        for (plural, field) in [("configmaps", "configMapKeyRef"), ("secrets", "secretKeyRef")] {
            let reference = &from[field];
            let Some(name) = reference["name"].as_str() else { continue };
            let key = reference["key"].as_str().unwrap_or_default();
            let found = self.data(plural, name).and_then(|mut data| data.remove(key));
            if found.is_none() {
                require(reference, plural, &format!("{name} key {key}"))?;
            }
            return Ok(found.map(|value| text(&value)));
        }
        Ok(None)
    }

    /// What the downward API tells.
    fn field(&self, path: &str) -> String {
        let (path, key) = match path.split_once("['") {
            Some((path, key)) => (path, key.trim_end_matches("']")),
            None => (path, ""),
        };
        let pod = self.pod;
        let found = match path {
            "metadata.name" => &pod["metadata"]["name"],
            "metadata.namespace" => &pod["metadata"]["namespace"],
            "metadata.uid" => &pod["metadata"]["uid"],
            "metadata.labels" => &pod["metadata"]["labels"][key],
            "metadata.annotations" => &pod["metadata"]["annotations"][key],
            "spec.nodeName" => &pod["spec"]["nodeName"],
            "spec.serviceAccountName" => return self.account().to_owned(),
            "status.podIP" | "status.podIPs" => &pod["status"]["podIP"],
            "status.hostIP" | "status.hostIPs" => &pod["status"]["hostIP"],
            _ => &Value::Null,
        };
        found.as_str().unwrap_or_default().to_owned()
    }

    fn account(&self) -> &str {
        self.pod["spec"]["serviceAccountName"].as_str().filter(|name| !name.is_empty()).unwrap_or("default")
    }

    fn files(&self, container: &Value) -> Result<BTreeMap<String, Vec<u8>>, Missing> {
        let mut files = BTreeMap::new();
        let mounts = container["volumeMounts"].as_array().map(Vec::as_slice).unwrap_or_default();
        for mount in mounts {
            let volumes = self.pod["spec"]["volumes"].as_array().into_iter().flatten();
            let Some(volume) = volumes.into_iter().find(|at| at["name"] == mount["name"]) else { continue };
            let at = mount["mountPath"].as_str().unwrap_or_default().trim_end_matches('/').to_owned();
            let content = self.volume(volume)?;
            match mount["subPath"].as_str().filter(|path| !path.is_empty()) {
                Some(path) => files.extend(content.get(path).map(|bytes| (at, bytes.clone()))),
                None => files.extend(content.into_iter().map(|(path, bytes)| (format!("{at}/{path}"), bytes))),
            }
        }
        let is_mounted = mounts.iter().any(|mount| mount["mountPath"] == ACCOUNT);
        if !is_mounted && self.mounts_token() {
            let namespace = self.pod["metadata"]["namespace"].as_str().unwrap_or_default();
            for (name, bytes) in [
                ("token", self.token()),
                ("ca.crt", Some(self.cluster.root_ca.clone().into_bytes())),
                ("namespace", Some(namespace.as_bytes().to_vec())),
            ] {
                files.extend(bytes.map(|bytes| (format!("{ACCOUNT}/{name}"), bytes)));
            }
        }
        Ok(files)
    }

    /// The pod's word counts before the account's.
    fn mounts_token(&self) -> bool {
        let namespace = self.pod["metadata"]["namespace"].as_str().unwrap_or_default();
        let account = find("", "v1", "serviceaccounts")
            .and_then(|accounts| self.cluster.store.get(&Key::new(accounts, namespace, self.account())));
        let of_account = account.and_then(|account| account["automountServiceAccountToken"].as_bool());
        self.pod["spec"]["automountServiceAccountToken"].as_bool().or(of_account).unwrap_or(true)
    }

    fn token(&self) -> Option<Vec<u8>> {
        tokens::issue(self.cluster, self.account(), self.pod, self.now).map(String::into_bytes)
    }

    /// Path within the volume → content. Volumes that begin empty or are the node's have none.
    fn volume(&self, volume: &Value) -> Result<BTreeMap<String, Vec<u8>>, Missing> {
        if let Some(name) = volume["secret"]["secretName"].as_str() {
            return self.objects("secrets", name, &volume["secret"]);
        }
        let mut files = BTreeMap::new();
        let direct = ["configMap", "downwardAPI"].into_iter().filter(|kind| volume[*kind].is_object());
        for _ in direct {
            files.extend(self.projection(volume)?);
        }
        for source in volume["projected"]["sources"].as_array().into_iter().flatten() {
            files.extend(self.projection(source)?);
        }
        Ok(files)
    }

    fn projection(&self, source: &Value) -> Result<BTreeMap<String, Vec<u8>>, Missing> {
        let mut files = BTreeMap::new();
        for (plural, field) in [("configmaps", "configMap"), ("secrets", "secret")] {
            if let Some(name) = source[field]["name"].as_str() {
                files.extend(self.objects(plural, name, &source[field])?);
            }
        }
        for item in source["downwardAPI"]["items"].as_array().into_iter().flatten() {
            let path = item["path"].as_str().unwrap_or_default().to_owned();
            files.insert(path, self.field(item["fieldRef"]["fieldPath"].as_str().unwrap_or_default()).into_bytes());
        }
        if let Some(path) = source["serviceAccountToken"]["path"].as_str() {
            files.extend(self.token().map(|token| (path.to_owned(), token)));
        }
        Ok(files)
    }

    /// The keys of an object as files, those that `items` names if it names any.
    fn objects(&self, plural: &str, name: &str, reference: &Value) -> Result<BTreeMap<String, Vec<u8>>, Missing> {
        let Some(mut data) = self.data(plural, name) else {
            let missing = format!("MountVolume.SetUp failed: {} {name:?} not found", plural.trim_end_matches('s'));
            return if reference["optional"] == true {
                Ok(BTreeMap::new())
            } else {
                Err(("ContainerCreating", missing))
            };
        };
        let Some(items) = reference["items"].as_array() else { return Ok(data) };
        let mut files = BTreeMap::new();
        for item in items {
            let key = item["key"].as_str().unwrap_or_default();
            match data.remove(key) {
                Some(bytes) => drop(files.insert(item["path"].as_str().unwrap_or(key).to_owned(), bytes)),
                None if reference["optional"] == true => {}
                None => return Err(("ContainerCreating", format!("references non-existent key: {key}"))),
            }
        }
        Ok(files)
    }

    fn data(&self, plural: &str, name: &str) -> Option<BTreeMap<String, Vec<u8>>> {
        let namespace = self.pod["metadata"]["namespace"].as_str()?;
        let object = self.cluster.store.get(&Key::new(find("", "v1", plural)?, namespace, name))?;
        let fields = |field: &str| object[field].as_object().cloned().unwrap_or_default().into_iter();
        let coded = |value: &Value| base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok();
        if plural == "secrets" {
            return Some(fields("data").filter_map(|(key, value)| Some((key, coded(&value)?))).collect());
        }
        let plain = fields("data").filter_map(|(key, value)| Some((key, value.as_str()?.as_bytes().to_vec())));
        let binary = fields("binaryData").filter_map(|(key, value)| Some((key, coded(&value)?)));
        Some(plain.chain(binary).collect())
    }
}

fn require(reference: &Value, plural: &str, name: &str) -> Result<(), Missing> {
    if reference["optional"] == true {
        return Ok(());
    }
    Err(("CreateContainerConfigError", format!("{} {name:?} not found", plural.trim_end_matches('s'))))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Replaces `$(NAME)` by the variable, where there is one; `$$(NAME)` stays as `$(NAME)`.
fn expanded(text: &str, env: &BTreeMap<String, String>) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let variable = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        match (after.strip_prefix('$'), variable) {
            (Some(escaped), _) => {
                out.push('$');
                rest = escaped;
            }
            (None, Some((name, tail))) if env.contains_key(name) => {
                out.push_str(env.get(name).map(String::as_str).unwrap_or_default());
                rest = tail;
            }
            _ => {
                out.push('$');
                rest = after;
            }
        }
    }
    out + rest
}

/// Ports that a pod publishes on its node: outside, inside.
pub(super) fn host_ports(pod: &Value) -> Vec<(u16, u16)> {
    let port = |value: &Value| u16::try_from(value.as_u64()?).ok().filter(|port| *port > 0);
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let tcp = ports.filter(|at| at["protocol"].as_str().is_none_or(|protocol| protocol == "TCP"));
    tcp.filter_map(|at| Some((port(&at["hostPort"])?, port(&at["containerPort"])?))).collect()
}

/// A port by number or by its name in the pod.
pub(super) fn port_of(pod: &Value, port: &Value) -> Option<u16> {
    if let Some(number) = port.as_u64() {
        return u16::try_from(number).ok();
    }
    let name = port.as_str()?;
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let found = ports.find(|at| at["name"] == name).and_then(|at| at["containerPort"].as_u64());
    found.and_then(|number| u16::try_from(number).ok()).or_else(|| name.parse().ok())
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn known_variables_are_put_in_and_others_left_alone() {
        let env = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        assert_eq!(expanded("--a=$(A) $(B) $$(A) $A $", &env), "--a=1 $(B) $(A) $A $");
    }
}
