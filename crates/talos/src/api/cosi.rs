use super::proto::cosi;
use super::{Asked, Client, ClientError};
use std::collections::VecDeque;
use tonic::Streaming;
use wire::Secret;

/// A resource of a node. Its content is kept as YAML.
#[derive(Clone, PartialEq, Eq)]
pub struct Resource {
    /// `runtime`, `config`, `k8s`, …
    pub namespace: String,
    /// `MachineStatuses.runtime.talos.dev`, …
    pub kind: String,
    /// `machine`, `v1alpha1`, …
    pub id: String,
    /// Grows with each change.
    pub version: String,
    /// The content. Sensitive types hold secrets here, so it is not shown by `Debug`.
    pub yaml: String,
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resource({}/{}/{} v{})", self.namespace, self.kind, self.id, self.version)
    }
}

/// What happened to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was made, or was there when the watch began.
    Created,
    /// It changed.
    Updated,
    /// It went, or was not there when the watch of one id began; only its name is known.
    Destroyed,
}

/// One event of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// To one resource.
    Resource(Change, Resource),
    /// All that was there when the watch began has been told.
    CaughtUp,
}

/// Changes as they happen.
#[derive(Debug)]
pub struct Watch {
    asked: Asked,
    stream: Streaming<cosi::WatchResponse>,
    pending: VecDeque<cosi::Event>,
}

/// Reads of a node's resources. Sensitive types need the role os:admin.
impl Client {
    /// One resource; [`super::Refusal::NotFound`] if it is not there.
    pub async fn resource(&self, namespace: &str, kind: &str, id: &str) -> Result<Resource, ClientError> {
        let asked = self.asked("Talos State/Get");
        let request = cosi::GetRequest { namespace: namespace.into(), r#type: kind.into(), id: id.into() };
        let mut service = self.state();
        let found = self.ask(&asked, service.get(request)).await?.resource;
        resource(&asked, found)
    }

    /// The configuration that is saved on the node's disk, every document of it.
    pub async fn machine_config(&self) -> Result<Secret, ClientError> {
        let found = self.resource("config", "MachineConfigs.config.talos.dev", "persistent").await?;
        // The content is a YAML string that holds the documents.
        let text: Result<String, _> = crate::yaml::read(&found.yaml);
        let asked = self.asked("Talos MachineConfigs");
        text.map(Secret::new).map_err(|_| asked.garbled("the configuration is not told as a string"))
    }

    /// All resources of a type, in the node's order.
    pub async fn resources(&self, namespace: &str, kind: &str) -> Result<Vec<Resource>, ClientError> {
        let asked = self.asked("Talos State/List");
        let request = cosi::ListRequest { namespace: namespace.into(), r#type: kind.into() };
        let mut service = self.state();
        let work = async {
            let refused = |status| asked.refused(&status);
            let mut stream = service.list(request).await.map_err(refused)?.into_inner();
            let mut all = Vec::new();
            while let Some(message) = stream.message().await.map_err(refused)? {
                all.push(resource(&asked, message.resource)?);
            }
            Ok(all)
        };
        self.within(&asked, self.timeout, work).await
    }

    /// Changes to a type (what is there first, then [`Changed::CaughtUp`]), or to one id (its present state first).
    pub async fn watch(&self, namespace: &str, kind: &str, id: Option<&str>) -> Result<Watch, ClientError> {
        let request = cosi::WatchRequest {
            namespace: namespace.into(),
            r#type: kind.into(),
            id: id.map(Into::into),
            options: Some(cosi::WatchOptions { bootstrap_contents: id.is_none(), tail_events: 0 }),
            api_version: 1,
        };
        let mut service = self.state();
        let asked = self.asked("Talos State/Watch");
        let stream = self.ask(&asked, service.watch(request)).await?;
        Ok(Watch { asked, stream, pending: VecDeque::new() })
    }
}

impl Watch {
    /// The next change; `None` when the node has ended the stream, as it does before a reboot. Waits for ever.
    pub async fn next(&mut self) -> Result<Option<Changed>, ClientError> {
        loop {
            while let Some(event) = self.pending.pop_front() {
                if let Some(changed) = changed(&self.asked, event)? {
                    return Ok(Some(changed));
                }
            }
            match self.stream.message().await.map_err(|status| self.asked.refused(&status))? {
                Some(batch) => self.pending.extend(batch.event),
                None => return Ok(None),
            }
        }
    }
}

/// `None` for events that say nothing.
fn changed(asked: &Asked, event: cosi::Event) -> Result<Option<Changed>, ClientError> {
    let change = match cosi::EventType::try_from(event.event_type) {
        Ok(cosi::EventType::Created) => Change::Created,
        Ok(cosi::EventType::Updated) => Change::Updated,
        Ok(cosi::EventType::Destroyed) => Change::Destroyed,
        Ok(cosi::EventType::Bootstrapped) => return Ok(Some(Changed::CaughtUp)),
        Ok(cosi::EventType::Errored) => {
            return Err(asked.told(event.error.unwrap_or_default()));
        }
        Ok(cosi::EventType::Noop) | Err(_) => return Ok(None),
    };
    resource(asked, event.resource).map(|resource| Some(Changed::Resource(change, resource)))
}

fn resource(asked: &Asked, found: Option<cosi::Resource>) -> Result<Resource, ClientError> {
    let found = found.ok_or_else(|| asked.garbled("no resource in the answer"))?;
    let metadata = found.metadata.ok_or_else(|| asked.garbled("a resource without metadata"))?;
    Ok(Resource {
        namespace: metadata.namespace,
        kind: metadata.r#type,
        id: metadata.id,
        version: metadata.version,
        yaml: found.spec.map(|spec| spec.yaml_spec).unwrap_or_default(),
    })
}
