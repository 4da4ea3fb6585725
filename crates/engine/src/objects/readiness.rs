//! Whether a workload has rolled out, and if not, why, in plain words. From objects as the API shows them.

use serde_json::Value;

pub(super) fn is_workload(kind: &str) -> bool {
    matches!(kind, "Deployment" | "DaemonSet")
}

/// Whether the API serves a custom kind.
pub(super) fn is_established(definition: &Value) -> bool {
    condition(definition, "Established").is_some_and(|condition| condition["status"] == "True")
}

/// The selector of a workload's pods, as lists take it.
pub(super) fn pod_selector(workload: &Value) -> Option<String> {
    labels(&workload["spec"]["selector"]["matchLabels"])
}

/// The selector of the nodes that a workload's pods run on.
pub(super) fn node_selector(workload: &Value) -> Option<String> {
    labels(&workload["spec"]["template"]["spec"]["nodeSelector"])
}

fn labels(map: &Value) -> Option<String> {
    let pairs = map.as_object()?.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
    Some(pairs.collect::<Vec<_>>().join(","))
}

fn figure(workload: &Value, pointer: &str) -> u64 {
    workload.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// How many pods there should be. `nodes`: how many the selector of a DaemonSet takes, which its controller may not have
/// seen yet.
fn wanted(workload: &Value, nodes: usize) -> u64 {
    if workload["kind"] == "DaemonSet" {
        return figure(workload, "/status/desiredNumberScheduled").max(u64::try_from(nodes).unwrap_or(u64::MAX));
    }
    workload["spec"]["replicas"].as_u64().unwrap_or(1)
}

/// Whether the controller has seen the present form, and all pods of it are available.
pub(super) fn is_rolled_out(workload: &Value, nodes: usize) -> bool {
    let wanted = wanted(workload, nodes);
    let seen = figure(workload, "/status/observedGeneration") >= figure(workload, "/metadata/generation");
    let (updated, available) = if workload["kind"] == "DaemonSet" {
        ("/status/updatedNumberScheduled", "/status/numberAvailable")
    } else {
        ("/status/updatedReplicas", "/status/availableReplicas")
    };
    seen && figure(workload, updated) >= wanted && figure(workload, available) >= wanted
}

/// Why it has not rolled out. `pods`: those that its selector takes.
pub(super) fn reason(workload: &Value, pods: &[Value], nodes: usize) -> String {
    let mut words: Vec<String> = Vec::new();
    if let Some(failure) = condition(workload, "ReplicaFailure").filter(|condition| condition["status"] == "True") {
        words.push(format!("pods cannot be made: {}", text(&failure["message"])));
    }
    let troubles = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    for trouble in troubles.filter_map(of_pod) {
        if !words.contains(&trouble) {
            words.push(trouble);
        }
    }
    if words.is_empty() {
        let (ready, wanted) = (pods.iter().filter(|pod| is_ready(pod)).count(), wanted(workload, nodes));
        words.push(format!("{ready} of {wanted} pods are ready"));
    }
    words.join("; ")
}

fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition["status"] == "True")
}

fn of_pod(pod: &Value) -> Option<String> {
    if is_ready(pod) {
        return None;
    }
    let name = text(&pod["metadata"]["name"]);
    let words = unscheduled(pod).or_else(|| containers(pod).find_map(of_container)).or_else(|| lost(pod))?;
    Some(format!("pod {name}{}: {words}", on_node(pod)))
}

fn on_node(pod: &Value) -> String {
    pod["spec"]["nodeName"].as_str().map(|node| format!(" on {node}")).unwrap_or_default()
}

fn unscheduled(pod: &Value) -> Option<String> {
    let condition = condition(pod, "PodScheduled").filter(|condition| condition["status"] == "False")?;
    let why = condition["message"].as_str().map(|message| format!(": {message}")).unwrap_or_default();
    Some(format!("no node takes it{why}"))
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let kinds = ["initContainerStatuses", "containerStatuses"];
    kinds.into_iter().flat_map(|kind| pod["status"][kind].as_array().into_iter().flatten())
}

/// Reasons that a kubelet gives while an image is not there.
const PULLS: &[&str] =
    &["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"];

fn of_container(container: &Value) -> Option<String> {
    let waiting = &container["state"]["waiting"];
    let (reason, message) = (text(&waiting["reason"]), text(&waiting["message"]));
    if PULLS.contains(&reason.as_str()) {
        return Some(format!("image {} cannot be pulled: {message}", text(&container["image"])));
    }
    let ended = [&container["state"]["terminated"], &container["lastState"]["terminated"]];
    let ended = ended.into_iter().find(|ended| ended.is_object() && ended["exitCode"] != 0);
    if reason == "CrashLoopBackOff" || ended.is_some() && container["ready"] != true {
        let ended = ended.unwrap_or(&Value::Null);
        let count = container["restartCount"].as_u64().unwrap_or(0);
        let how = match ended["reason"].as_str() {
            Some("OOMKilled") => "for want of memory".to_owned(),
            _ => format!("with exit code {}", ended["exitCode"].as_i64().unwrap_or(0)),
        };
        return Some(format!("container {} ends {how}, restarted {count} times", text(&container["name"])));
    }
    if !reason.is_empty() && reason != "ContainerCreating" && reason != "PodInitializing" {
        return Some(format!("{reason}: {message}").trim_end_matches([':', ' ']).to_owned());
    }
    let running = container["state"]["running"].is_object() && container["ready"] == false;
    running.then(|| format!("container {} runs, but its readiness probe fails", text(&container["name"])))
}

/// Its node is silent: what its containers do is not known.
fn lost(pod: &Value) -> Option<String> {
    let silent = condition(pod, "Ready").is_some_and(|condition| condition["reason"] == "NodeNotReady");
    silent.then(|| "its node does not answer".to_owned())
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(status: Value) -> Value {
        json!({"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": status})
    }

    fn pod(status: Value) -> Value {
        json!({"metadata": {"name": "w-1"}, "spec": {"nodeName": "lily"}, "status": status})
    }

    fn waiting(reason: &str, message: &str) -> Value {
        pod(json!({"containerStatuses": [{
            "name": "w", "image": "r.example/w:1", "ready": false, "restartCount": 4,
            "state": {"waiting": {"reason": reason, "message": message}},
            "lastState": {"terminated": {"exitCode": 1}},
        }]}))
    }

    #[test]
    fn all_pods_of_the_present_form_must_be_available() {
        let status = |seen: u32, updated: u32, available: u32| {
            deployment(json!({"observedGeneration": seen, "updatedReplicas": updated, "availableReplicas": available}))
        };
        assert!(is_rolled_out(&status(2, 3, 3), 0));
        assert!(!is_rolled_out(&status(1, 3, 3), 0), "the controller has not looked yet");
        assert!(!is_rolled_out(&status(2, 2, 3), 0), "one pod is of the old form");
        assert!(!is_rolled_out(&status(2, 3, 2), 0));
    }

    #[test]
    fn a_daemon_must_run_on_every_node_that_has_its_label() {
        let figures = json!({"desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1, "observedGeneration": 1});
        let set = json!({"kind": "DaemonSet", "metadata": {"generation": 1}, "status": figures});
        assert!(is_rolled_out(&set, 1));
        assert!(!is_rolled_out(&set, 2), "its controller has not seen the second node's label");
    }

    #[test]
    fn reasons_are_plain_words() {
        let set = deployment(json!({}));
        let unscheduled = json!({"conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"},
        ]});
        let probing = json!({"containerStatuses": [{"name": "w", "ready": false, "state": {"running": {}}}]});
        let silent = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "NodeNotReady"}]});
        let memory = json!({"containerStatuses": [{
            "name": "w", "ready": false, "restartCount": 1, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
        }]});
        let cases = [
            (waiting("ImagePullBackOff", "403"), "image r.example/w:1 cannot be pulled: 403"),
            (waiting("CrashLoopBackOff", "back-off"), "container w ends with exit code 1, restarted 4 times"),
            (pod(unscheduled), "no node takes it: 0/3 nodes are available"),
            (pod(probing), "container w runs, but its readiness probe fails"),
            (pod(silent), "its node does not answer"),
            (pod(memory), "container w ends for want of memory, restarted 1 times"),
        ];
        for (pod, words) in cases {
            assert_eq!(reason(&set, &[pod], 0), format!("pod w-1 on lily: {words}"));
        }
        assert_eq!(reason(&set, &[], 0), "0 of 3 pods are ready");
    }

    #[test]
    fn pods_that_nobody_may_make_are_told() {
        let failure = json!({"type": "ReplicaFailure", "status": "True", "message": "violates PodSecurity"});
        let set = deployment(json!({"conditions": [failure]}));
        assert_eq!(reason(&set, &[], 0), "pods cannot be made: violates PodSecurity");
    }
}
