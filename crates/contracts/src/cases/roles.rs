//! Who may do what.

use super::{cases, config_map};
use crate::talk::{MERGE, Talk, with};
use serde_json::{Value, json};

cases![a_user_without_a_role_is_refused, a_role_lets_its_subjects_do_what_it_says, a_review_says_what_may_be_done];

const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn role(kind: &str, name: &str, rules: &Value) -> Value {
    json!({"apiVersion": RBAC, "kind": kind, "metadata": {"name": name}, "rules": rules})
}

fn binding(kind: &str, name: &str, role: (&str, &str), subject: &Value) -> Value {
    json!({
        "apiVersion": RBAC, "kind": kind, "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role.0, "name": role.1}, "subjects": [subject],
    })
}

async fn a_user_without_a_role_is_refused(talk: &Talk<'_>) {
    talk.begin().await;
    let nobody = talk.by("nobody");
    let all = nobody.path("v1", "configmaps");
    nobody.get(&all).await.refused(403, "Forbidden");
    nobody.get(&format!("{all}/a")).await.refused(403, "Forbidden");
    nobody.post(&all, &config_map("a", &json!({}))).await.refused(403, "Forbidden");
    nobody.patch(&format!("{all}/a"), MERGE, &json!({})).await.refused(403, "Forbidden");
    nobody.delete(&format!("{all}/a"), &json!(null)).await.refused(403, "Forbidden");
    nobody.delete(&all, &json!(null)).await.refused(403, "Forbidden");
    nobody.get("/api/v1/nodes").await.refused(403, "Forbidden");
    nobody.get("/api/v1/nodes/rose").await.refused(403, "Forbidden");
    nobody.get(&with(&all, "watch=true")).await.refused(403, "Forbidden");
    nobody.get(&nobody.path("apps/v1", "deployments/d/scale")).await.refused(403, "Forbidden");
    nobody.get("/metrics").await.refused(403, "Forbidden");
    nobody.get("/apis/example.com/v1/roses").await.refused(403, "Forbidden");
    nobody.get(&format!("/api/v1/namespaces/{}", talk.namespace)).await.refused(403, "Forbidden");
    nobody.get("/api").await.is(200);
    nobody.get("/readyz").await.is(200);
    talk.include(nobody);
}

async fn a_role_lets_its_subjects_do_what_it_says(talk: &Talk<'_>) {
    talk.begin().await;
    let rules = json!([
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a"], "verbs": ["update", "patch"]},
        {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["*"]},
    ]);
    talk.post(&talk.path(RBAC, "roles"), &role("Role", "r", &rules)).await.is(201);
    let subject = json!({"kind": "Group", "name": "viewers", "apiGroup": "rbac.authorization.k8s.io"});
    talk.post(&talk.path(RBAC, "rolebindings"), &binding("RoleBinding", "b", ("Role", "r"), &subject)).await.is(201);
    let all = talk.path("v1", "configmaps");
    talk.post(&all, &config_map("a", &json!({}))).await.is(201);
    let viewer = talk.by("viewer");
    // The authorizer hears of a new role by its watch.
    for _ in 0..100 {
        if talk.by("viewer").get(&all).await.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    viewer.get(&all).await.is(200);
    viewer.get(&format!("{all}/a")).await.is(200);
    viewer.patch(&format!("{all}/a"), MERGE, &json!({"data": {"k": "1"}})).await.is(200);
    viewer.patch(&format!("{all}/b"), MERGE, &json!({"data": {"k": "1"}})).await.refused(403, "Forbidden");
    viewer.post(&all, &config_map("c", &json!({}))).await.refused(403, "Forbidden");
    viewer.delete(&format!("{all}/a"), &json!(null)).await.refused(403, "Forbidden");
    viewer.get("/api/v1/configmaps").await.refused(403, "Forbidden");
    viewer.get(&talk.path("apps/v1", "deployments/d/scale")).await.refused(404, "NotFound");
    viewer.get(&talk.path("apps/v1", "deployments/d")).await.refused(403, "Forbidden");
    talk.include(viewer);
    let moved = binding("RoleBinding", "b", ("Role", "other"), &subject);
    talk.put(&talk.path(RBAC, "rolebindings/b"), &moved).await.refused(422, "Invalid");
}

async fn a_review_says_what_may_be_done(talk: &Talk<'_>) {
    talk.begin().await;
    let nobody = talk.by("nobody");
    let ask = |verb: &str| {
        json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"namespace": talk.namespace, "verb": verb, "resource": "pods"}},
        })
    };
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let answer = nobody.post(reviews, &ask("list")).await.is(201);
    assert_eq!(answer["status"]["allowed"], false);
    talk.include(nobody);
    let answer = talk.post(reviews, &ask("list")).await.is(201);
    assert_eq!(answer["status"]["allowed"], true);
}
