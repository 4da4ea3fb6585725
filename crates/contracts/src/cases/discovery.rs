//! What the server says of itself. Groups that the emulator does not serve are left out on both sides.

use super::cases;
use crate::talk::Talk;

cases![the_server_says_what_it_is, a_core_resource_is_discovered];

async fn the_server_says_what_it_is(talk: &Talk<'_>) {
    talk.get("/api").await.is(200);
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(talk.get(path).await.is(200), "ok");
    }
    for path in ["/apis/nothing.example", "/apis/apps/v9", "/api/v2"] {
        talk.get(path).await.is(404);
    }
    talk.send("POST", "/version", &[], String::new()).await;
}

async fn a_core_resource_is_discovered(talk: &Talk<'_>) {
    for group in ["apps", "policy", "coordination.k8s.io", "apiextensions.k8s.io"] {
        talk.get(&format!("/apis/{group}")).await.is(200);
    }
    for path in [
        "/apis/policy/v1",
        "/apis/coordination.k8s.io/v1",
        "/apis/rbac.authorization.k8s.io/v1",
        "/apis/apiextensions.k8s.io/v1",
    ] {
        talk.get(path).await.is(200);
    }
}
