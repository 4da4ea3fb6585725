//! Typed built-ins: defaults, validation, status, scale, eviction, nodes and services.

use super::{cases, deployment, pod};
use crate::talk::{MERGE, STRATEGIC, Talk, with};
use serde_json::{Value, json};

cases![
    a_deployment_gets_its_defaults,
    a_deployment_is_validated,
    status_and_wish_are_written_apart,
    a_deployment_is_scaled,
    a_pod_gets_its_defaults,
    a_service_gets_its_defaults,
    a_service_is_validated,
    a_node_is_registered_and_cordoned,
    a_daemon_set_gets_its_defaults,
    a_budget_is_asked_before_an_eviction,
    other_kinds_get_their_defaults,
];

async fn a_deployment_gets_its_defaults(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("apps/v1", "deployments");
    let made = talk.post(&all, &deployment("d")).await.is(201);
    assert_eq!((&made["spec"]["replicas"], &made["spec"]["revisionHistoryLimit"]), (&json!(1), &json!(10)));
    let mut rich = deployment("rich");
    rich["spec"]["strategy"] = json!({"type": "Recreate"});
    rich["spec"]["template"]["spec"] = json!({
        "terminationGracePeriodSeconds": 5, "serviceAccountName": "rose", "hostNetwork": true,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532},
        "volumes": [{"name": "c", "configMap": {"name": "c"}}, {"name": "s", "secret": {"secretName": "s"}}, {"name": "e", "emptyDir": {}},
                    {"name": "h", "hostPath": {"path": "/x"}}, {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}],
        "initContainers": [{"name": "init", "image": "example.com/init@sha256:0000000000000000000000000000000000000000000000000000000000000000"}],
        "containers": [{
            "name": "main", "image": "example.com/web:latest", "args": [], "command": ["a"],
            "ports": [{"containerPort": 80, "hostPort": 80, "name": "web"}, {"containerPort": 53, "protocol": "UDP"}],
            "env": [{"name": "A", "value": "1"}, {"name": "E"}, {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
            "livenessProbe": {"httpGet": {"path": "/ping", "port": "web"}}, "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 5},
            "resources": {"requests": {"cpu": 0.1, "memory": "128Mi"}, "limits": {"memory": "1024Mi", "cpu": "1000m"}},
            "volumeMounts": [{"name": "c", "mountPath": "/c"}, {"name": "e", "mountPath": "/e", "readOnly": true}],
            "securityContext": {"readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
        }],
    });
    talk.post(&all, &rich).await.is(201);
}

async fn a_deployment_is_validated(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("apps/v1", "deployments");
    let change = |path: &str, value: Value| {
        let mut body = deployment("d");
        *body.pointer_mut(path).unwrap() = value;
        body
    };
    let wrong = [
        change("/spec/selector", json!({"matchLabels": {"app": "other"}})),
        change("/spec/selector", json!({})),
        change("/spec/selector", json!(null)),
        change("/spec/template/spec/containers", json!([])),
        change("/spec/template/spec/containers/0/name", "Main_1".into()),
        change("/spec/template/spec/containers/0/image", "".into()),
        change("/spec/template/spec/containers/0/ports/0/containerPort", 70_000.into()),
        change("/spec/template", json!({})),
        change("/spec/template/spec/containers", json!([{"name": "a", "image": "b"}, {"name": "a", "image": "c"}])),
    ];
    for body in wrong {
        talk.post(&all, &body).await.refused(422, "Invalid");
    }
    let mut negative = deployment("d");
    negative["spec"]["replicas"] = (-1).into();
    talk.post(&all, &negative).await.refused(422, "Invalid");
    let mut never = deployment("d");
    never["spec"]["template"]["spec"]["restartPolicy"] = "Never".into();
    talk.post(&all, &never).await.refused(422, "Invalid");
    talk.post(&all, &deployment("d")).await.is(201);
    let selector = json!({"spec": {"selector": {"matchLabels": {"app": "e"}}, "template": {"metadata": {"labels": {"app": "e"}}}}});
    talk.patch(&format!("{all}/d"), MERGE, &selector).await.refused(422, "Invalid");
}

async fn status_and_wish_are_written_apart(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("apps/v1", "deployments");
    let at = format!("{all}/d");
    let mut made = talk.post(&all, &deployment("d")).await.is(201);
    let both = json!({"spec": {"replicas": 2}, "status": {"replicas": 9, "readyReplicas": 9}});
    let patched = talk.patch(&at, MERGE, &both).await.is(200);
    assert_eq!((&patched["spec"]["replicas"], &patched["status"]), (&json!(2), &json!({})));
    let both = json!({"spec": {"replicas": 3}, "status": {"replicas": 2, "observedGeneration": 2}});
    let patched = talk.patch(&format!("{at}/status"), MERGE, &both).await.is(200);
    assert_eq!((&patched["spec"]["replicas"], &patched["status"]["replicas"]), (&json!(2), &json!(2)));
    assert_eq!(patched["metadata"]["generation"], 2);
    talk.get(&format!("{at}/status")).await.is(200);
    made["metadata"]["resourceVersion"] = json!(null);
    made["status"] = json!({"replicas": 1, "conditions": [{"type": "Available", "status": "True", "reason": "R", "message": "m",
        "lastUpdateTime": "2026-11-23T10:00:00Z", "lastTransitionTime": "2026-11-23T10:00:00Z"}]});
    made["metadata"]["labels"]["via"] = "status".into();
    talk.put(&format!("{at}/status"), &made).await.is(200);
    talk.put(&at, &made).await.is(200);
    let applied = json!({"apiVersion": "apps/v1", "kind": "Deployment", "status": {"readyReplicas": 1}});
    talk.apply(&format!("{at}/status"), "me", &applied).await.is(200);
    let wrong = json!({"status": {"replicas": -1}});
    talk.patch(&format!("{at}/status"), MERGE, &wrong).await.refused(422, "Invalid");
    talk.get(&talk.path("v1", "configmaps/a/status")).await.is(404);
}

async fn a_deployment_is_scaled(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("apps/v1", "deployments");
    let at = format!("{all}/d/scale");
    talk.post(&all, &deployment("d")).await.is(201);
    let mut scale = talk.get(&at).await.is(200);
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(1)));
    scale["spec"]["replicas"] = 4.into();
    talk.put(&at, &scale).await.is(200);
    talk.patch(&at, MERGE, &json!({"spec": {"replicas": 2}})).await.is(200);
    talk.patch(&at, MERGE, &json!({"spec": {"replicas": -2}})).await.refused(422, "Invalid");
    talk.get(&format!("{all}/d")).await.is(200);
    talk.get(&format!("{all}/none/scale")).await.refused(404, "NotFound");
}

async fn a_pod_gets_its_defaults(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "pods");
    let made = talk.post(&all, &pod("a")).await.is(201);
    assert_eq!(made["status"]["qosClass"], "BestEffort");
    let mut body = pod("b");
    body["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "1", "memory": "64Mi"}});
    body["spec"]["tolerations"] = json!([{"operator": "Exists", "effect": "NoExecute"}]);
    talk.post(&all, &body).await.is(201);
    body = pod("c");
    body["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "500m"}});
    body["spec"]["priorityClassName"] = "system-node-critical".into();
    talk.post(&all, &body).await.is(201);
    talk.patch(
        &format!("{all}/a"),
        STRATEGIC,
        &json!({"spec": {"containers": [{"name": "main", "image": "example.com/web:2"}]}}),
    )
    .await
    .is(200);
    talk.patch(&format!("{all}/a"), STRATEGIC, &json!({"spec": {"nodeName": "rose"}})).await;
    talk.patch(&format!("{all}/a"), STRATEGIC, &json!({"spec": {"hostNetwork": true}})).await.refused(422, "Invalid");
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"}, "target": {"kind": "Node", "name": "rose"}});
    talk.post(&format!("{all}/a/binding"), &binding).await;
    talk.post(&format!("{all}/a/binding"), &binding).await;
    talk.get(&format!("{all}/a")).await.is(200);
}

fn service(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
}

async fn a_service_gets_its_defaults(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "services");
    let specs = [
        json!({"selector": {"app": "x"}, "ports": [{"port": 80}]}),
        json!({"clusterIP": "None", "selector": {"app": "x"}}),
        json!({"type": "NodePort", "ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b", "targetPort": "b", "protocol": "UDP"}]}),
        json!({"type": "ExternalName", "externalName": "example.com"}),
        json!({"type": "LoadBalancer", "ports": [{"port": 80}], "externalTrafficPolicy": "Local"}),
        json!({"sessionAffinity": "ClientIP", "ports": [{"port": 80}]}),
    ];
    for (at, spec) in specs.iter().enumerate() {
        talk.post(&all, &service(&format!("s{at}"), spec)).await.is(201);
    }
    talk.patch(&format!("{all}/s0"), MERGE, &json!({"spec": {"type": "NodePort"}})).await.is(200);
    talk.patch(&format!("{all}/s0"), MERGE, &json!({"spec": {"type": "ClusterIP"}})).await;
    talk.put(&format!("{all}/s1"), &service("s1", &specs[1])).await.is(200);
    talk.patch(&format!("{all}/s0"), MERGE, &json!({"spec": {"clusterIP": "10.96.3.3"}})).await.refused(422, "Invalid");
}

async fn a_service_is_validated(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "services");
    let wrong = [
        json!({}),
        json!({"ports": [{"port": 0}]}),
        json!({"ports": [{"port": 80}, {"port": 81}]}),
        json!({"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]}),
        json!({"ports": [{"port": 80, "protocol": "ICMP"}]}),
        json!({"type": "Nothing", "ports": [{"port": 80}]}),
        json!({"type": "ExternalName"}),
        json!({"ports": [{"port": 80}], "selector": {"a b": "c"}}),
    ];
    for spec in wrong {
        talk.post(&all, &service("s", &spec)).await.refused(422, "Invalid");
    }
}

async fn a_node_is_registered_and_cordoned(talk: &Talk<'_>) {
    let name = "node-of-the-suite";
    let at = format!("/api/v1/nodes/{name}");
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}});
    talk.post("/api/v1/nodes", &node).await.is(201);
    let cordoned = talk.patch(&at, STRATEGIC, &json!({"spec": {"unschedulable": true}})).await.is(200);
    assert_eq!(cordoned["spec"]["unschedulable"], true);
    talk.patch(&at, MERGE, &json!({"spec": {"unschedulable": null}})).await.is(200);
    let taints = json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "value": "v", "effect": "NoExecute"}]}});
    talk.patch(&at, MERGE, &taints).await.is(200);
    let status = json!({"status": {"capacity": {"cpu": "2", "memory": "4096Mi"}, "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "100.64.0.1"}]}});
    talk.patch(&format!("{at}/status"), STRATEGIC, &status).await.is(200);
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "R"}, {"type": "DiskPressure", "status": "False"}]}});
    talk.patch(&format!("{at}/status"), STRATEGIC, &status).await.is(200);
    talk.patch(&at, MERGE, &json!({"spec": {"providerID": "x://1"}})).await.is(200);
    talk.patch(&at, MERGE, &json!({"spec": {"providerID": "x://2"}})).await.refused(422, "Invalid");
    talk.patch(&at, MERGE, &json!({"spec": {"podCIDR": "10.244.0.0/24"}})).await;
    talk.patch(&at, MERGE, &json!({"spec": {"taints": [{"key": "a", "effect": "Nothing"}]}}))
        .await
        .refused(422, "Invalid");
    talk.delete(&at, &json!(null)).await.is(200);
}

async fn a_daemon_set_gets_its_defaults(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("apps/v1", "daemonsets");
    let mut body = deployment("d");
    body["kind"] = "DaemonSet".into();
    let made = talk.post(&all, &body).await.is(201);
    assert_eq!(made["spec"]["updateStrategy"]["type"], "RollingUpdate");
    talk.patch(&format!("{all}/d"), MERGE, &json!({"spec": {"minReadySeconds": 5}})).await.is(200);
    body["kind"] = "StatefulSet".into();
    body["spec"]["serviceName"] = "s".into();
    talk.post(&talk.path("apps/v1", "statefulsets"), &body).await.is(201);
    body["kind"] = "ReplicaSet".into();
    body["spec"].as_object_mut().unwrap().remove("serviceName");
    talk.post(&talk.path("apps/v1", "replicasets"), &body).await.is(201);
}

async fn a_budget_is_asked_before_an_eviction(talk: &Talk<'_>) {
    talk.begin().await;
    let (pods, budgets) = (talk.path("v1", "pods"), talk.path("policy/v1", "poddisruptionbudgets"));
    let evict = |name: &str| json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": talk.namespace}});
    let running = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    for name in ["a", "b"] {
        let mut body = pod(name);
        body["metadata"]["labels"] = json!({"app": "x"});
        body["spec"]["nodeName"] = "rose".into();
        talk.post(&pods, &body).await.is(201);
        talk.patch(&format!("{pods}/{name}/status"), STRATEGIC, &running).await.is(200);
    }
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "p"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}},
    });
    talk.post(&budgets, &budget).await.is(201);
    // The budget's controller has spoken: one may go.
    let figures = json!({"status": {"observedGeneration": 1, "expectedPods": 2, "currentHealthy": 2, "desiredHealthy": 1, "disruptionsAllowed": 1}});
    talk.patch(&format!("{budgets}/p/status"), MERGE, &figures).await.is(200);
    talk.post(&with(&format!("{pods}/a/eviction"), "dryRun=All"), &evict("a")).await.is(201);
    talk.post(&format!("{pods}/a/eviction"), &evict("a")).await.is(201);
    talk.get(&format!("{budgets}/p")).await.is(200);
    let refused = talk.post(&format!("{pods}/b/eviction"), &evict("b")).await.refused(429, "TooManyRequests");
    assert_eq!(refused["details"]["causes"][0]["reason"], "DisruptionBudget");
    talk.post(&format!("{pods}/none/eviction"), &evict("none")).await.refused(404, "NotFound");
    talk.post(&format!("{pods}/b/eviction"), &evict("other")).await;
    let mut both = budget;
    both["spec"]["maxUnavailable"] = 1.into();
    both["metadata"]["name"] = "q".into();
    talk.post(&budgets, &both).await.refused(422, "Invalid");
}

async fn other_kinds_get_their_defaults(talk: &Talk<'_>) {
    talk.begin().await;
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
        "spec": {"rules": [{"host": "a.example.com", "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}},
        ]}}]},
    });
    talk.post(&talk.path("networking.k8s.io/v1", "ingresses"), &ingress).await.is(201);
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}, "storageClassName": "openebs-hostpath"},
    });
    talk.post(&talk.path("v1", "persistentvolumeclaims"), &claim).await.is(201);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "s"}});
    talk.post(&talk.path("v1", "serviceaccounts"), &account).await.is(201);
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "reason": "Tried", "message": "m", "type": "Normal",
        "involvedObject": {"kind": "Pod", "name": "a", "namespace": talk.namespace}, "source": {"component": "suite"},
        "firstTimestamp": "2026-11-23T10:00:00Z", "lastTimestamp": "2026-11-23T10:00:00Z", "count": 1,
    });
    talk.post(&talk.path("v1", "events"), &event).await.is(201);
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "of-the-suite"}, "provisioner": "example.com/x"});
    talk.post("/apis/storage.k8s.io/v1/storageclasses", &class).await.is(201);
    let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "of-the-suite"}, "spec": {"controller": "example.com/x"}});
    talk.post("/apis/networking.k8s.io/v1/ingressclasses", &class).await.is(201);
}
