use super::{Api, node};
use serde_json::{Value, json};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

#[tokio::test(start_paused = true)]
async fn a_stale_update_is_a_conflict_and_an_equal_one_changes_nothing() {
    let api = Api::new();
    let (status, made) = api.write("POST", CONFIG_MAPS, &config_map("a", &json!({"k": "1"}))).await;
    assert_eq!(status, 201);
    let path = format!("{CONFIG_MAPS}/a");
    assert_eq!(api.write("PUT", &path, &made).await.1["metadata"], made["metadata"]);
    let mut changed = made.clone();
    changed["data"]["k"] = "2".into();
    let (status, newer) = api.write("PUT", &path, &changed).await;
    assert_eq!(status, 200);
    assert_ne!(newer["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let (status, refused) = api.write("PUT", &path, &made).await;
    assert_eq!((status, &refused["reason"]), (409, &json!("Conflict")));
    let (status, refused) = api.write("POST", CONFIG_MAPS, &config_map("a", &json!({}))).await;
    assert_eq!((status, &refused["reason"]), (409, &json!("AlreadyExists")));
    assert_eq!(refused["message"], "configmaps \"a\" already exists");
}

#[tokio::test(start_paused = true)]
async fn bodies_that_do_not_fit_their_path_are_refused_not_stored() {
    let api = Api::new();
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}});
    let elsewhere = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "x"}});
    for wrong in [json!([]), json!("x"), deployment, elsewhere] {
        let (status, refused) = api.write("POST", CONFIG_MAPS, &wrong).await;
        assert_eq!((status, &refused["reason"]), (400, &json!("BadRequest")), "{wrong}");
    }
    assert_eq!(api.write("POST", CONFIG_MAPS, &json!({})).await.0, 422, "of the path's kind, and nameless");
    assert_eq!(api.write("POST", CONFIG_MAPS, &config_map("Not_A_Name", &json!({}))).await.0, 422);
    let lost = "/api/v1/namespaces/nowhere/configmaps";
    assert_eq!(api.write("POST", lost, &config_map("a", &json!({}))).await.0, 404);
    assert_eq!(api.send("POST", CONFIG_MAPS, "application/json", "{not json").await.0, 400);
    assert_eq!(api.send("POST", CONFIG_MAPS, "application/vnd.kubernetes.protobuf", "k8s").await.0, 400);
    let strange = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": 7}, "spec": "none"});
    assert_eq!(api.write("POST", "/api/v1/namespaces/default/pods", &strange).await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn status_and_spec_are_written_apart() {
    let api = Api::new();
    api.report(&node("lily", false));
    let body = json!({"spec": {"unschedulable": true}, "status": {"phase": "gone"}}).to_string();
    let patched =
        api.send("PATCH", "/api/v1/nodes/lily", "application/strategic-merge-patch+json", body.clone()).await.1;
    assert_eq!((&patched["spec"]["unschedulable"], &patched["status"]["phase"]), (&json!(true), &Value::Null));
    let path = "/api/v1/nodes/lily/status";
    let body = json!({"spec": {"unschedulable": false}, "status": {"phase": "x"}}).to_string();
    let patched = api.send("PATCH", path, "application/merge-patch+json", body).await.1;
    assert_eq!((&patched["spec"]["unschedulable"], &patched["status"]["phase"]), (&json!(true), &json!("x")));
}

#[tokio::test(start_paused = true)]
async fn a_cordon_is_a_taint_and_an_uncordon_takes_it_off() {
    let api = Api::new();
    api.report(&node("lily", false));
    let cordon = |flag: bool| json!({"spec": {"unschedulable": flag}}).to_string();
    let kind = "application/strategic-merge-patch+json";
    api.send("PATCH", "/api/v1/nodes/lily", kind, cordon(true)).await;
    api.live(&[&node("lily", false)], 1).await;
    let lily = api.get("/api/v1/nodes/lily").await.1;
    assert_eq!(lily["spec"]["taints"][0]["key"], "node.kubernetes.io/unschedulable");
    api.send("PATCH", "/api/v1/nodes/lily", kind, cordon(false)).await;
    api.live(&[&node("lily", false)], 1).await;
    assert_eq!(api.get("/api/v1/nodes/lily").await.1["spec"]["taints"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn apply_creates_then_replaces_its_own_and_needs_a_field_manager() {
    let api = Api::new();
    let path = format!("{CONFIG_MAPS}/applied");
    let kind = "application/apply-patch+yaml";
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\ndata:\n  a: '1'\n";
    assert_eq!(api.send("PATCH", &path, kind, yaml).await.0, 422);
    let managed = format!("{path}?fieldManager=bouquet&force=true");
    assert_eq!(api.send("PATCH", &managed, kind, yaml).await.0, 201);
    let (status, merged) = api.send("PATCH", &managed, kind, yaml.replace("a: '1'", "b: '2'")).await;
    assert_eq!((status, &merged["data"]), (200, &json!({"b": "2"})), "what its manager leaves out goes");
    assert_eq!(api.send("PATCH", &path, "text/plain", "x").await.0, 415);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_answers_and_stores_nothing() {
    let api = Api::new();
    let path = format!("{CONFIG_MAPS}?dryRun=All");
    assert_eq!(api.write("POST", &path, &config_map("a", &json!({}))).await.0, 201);
    assert_eq!(api.get(&format!("{CONFIG_MAPS}/a")).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_an_object_until_the_last_is_off() {
    let api = Api::new();
    let mut held = config_map("held", &json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/x"]);
    api.write("POST", CONFIG_MAPS, &held).await;
    let path = format!("{CONFIG_MAPS}/held");
    let (status, going) = api.write("DELETE", &path, &json!({})).await;
    assert!(status == 200 && going["metadata"]["deletionTimestamp"].is_string());
    let off = json!({"metadata": {"finalizers": null}}).to_string();
    api.send("PATCH", &path, "application/merge-patch+json", off).await;
    assert_eq!(api.get(&path).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_takes_its_content_with_it() {
    let api = Api::new();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "velero"}});
    api.write("POST", "/api/v1/namespaces", &namespace).await;
    api.live(&[], 1).await;
    let inside = "/api/v1/namespaces/velero/configmaps";
    assert_eq!(api.write("POST", inside, &config_map("a", &json!({}))).await.0, 201);
    let (_, going) = api.write("DELETE", "/api/v1/namespaces/velero", &json!({})).await;
    assert_eq!(going["status"]["phase"], "Terminating");
    assert_eq!(api.write("POST", inside, &config_map("b", &json!({}))).await.0, 403);
    api.world.time().sleep(std::time::Duration::from_secs(10)).await;
    assert_eq!(api.get("/api/v1/namespaces/velero").await.0, 404);
    assert_eq!(api.get(inside).await.1["items"], json!([]));
}
