//! Tokens of service accounts, bound to the pod that holds them.
//!
//! JSON Web Tokens with the claims of the real ones; signed with a key of the cluster's by HMAC, where real ones have RSA: nobody
//! but the API server looks.

use super::auth::User;
use super::resource::find;
use super::store::{Key, Store};
use super::{Cluster, pods};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use serde_json::{Value, json};

/// The kubelet asks for 3607 s; the API server makes a year of it (`--service-account-extend-token-expiration`).
const VALID: SignedDuration = SignedDuration::from_hours(365 * 24);
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// A token for a pod's service account; `None` if there is no such account.
pub(super) fn issue(cluster: &Cluster, account: &str, pod: &Value, now: Timestamp) -> Option<String> {
    let (namespace, name) = (pod["metadata"]["namespace"].as_str()?, pod["metadata"]["name"].as_str()?);
    let found = account_of(&cluster.store, namespace, account)?;
    let until = now.saturating_add(VALID).unwrap_or(Timestamp::MAX);
    let claims = json!({
        "aud": [ISSUER], "exp": until.as_second(), "iat": now.as_second(), "iss": ISSUER, "nbf": now.as_second(),
        "kubernetes.io": {
            "namespace": namespace, "node": {"name": pods::node_of(pod)},
            "pod": {"name": name, "uid": pods::uid(pod)},
            "serviceaccount": {"name": account, "uid": pods::uid(found)},
        },
        "sub": format!("system:serviceaccount:{namespace}:{account}"),
    });
    let head = json!({"alg": "HS256", "typ": "JWT"});
    let signed = format!("{}.{}", BASE64.encode(head.to_string()), BASE64.encode(claims.to_string()));
    let signature = hmac::sign(&key(cluster), signed.as_bytes());
    Some(format!("{signed}.{}", BASE64.encode(signature)))
}

/// Who holds a token; `None` if it is not the cluster's, has expired, or account or pod are no more.
pub(super) fn holder(cluster: &Cluster, token: &str, now: Timestamp) -> Option<User> {
    let (signed, signature) = token.rsplit_once('.')?;
    hmac::verify(&key(cluster), signed.as_bytes(), &BASE64.decode(signature).ok()?).ok()?;
    let (_, claims) = signed.split_once('.')?;
    let claims: Value = serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?;
    let bound = &claims["kubernetes.io"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (namespace, account) = (text(&bound["namespace"]), text(&bound["serviceaccount"]["name"]));
    let found = account_of(&cluster.store, &namespace, &account)?;
    let pod = cluster.store.get(&Key::new(pods::resource()?, &namespace, &text(&bound["pod"]["name"])))?;
    let is_same = bound["serviceaccount"]["uid"] == *pods::uid(found) && bound["pod"]["uid"] == *pods::uid(pod);
    let is_valid = claims["exp"].as_i64().is_some_and(|until| now.as_second() < until);
    let groups =
        ["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}"), "system:authenticated".into()];
    (is_same && is_valid).then(|| User { name: text(&claims["sub"]), groups: groups.into() })
}

fn key(cluster: &Cluster) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &cluster.signer)
}

fn account_of<'a>(store: &'a Store, namespace: &str, name: &str) -> Option<&'a Value> {
    store.get(&Key::new(find("", "v1", "serviceaccounts")?, namespace, name)).map(|account| &**account)
}
