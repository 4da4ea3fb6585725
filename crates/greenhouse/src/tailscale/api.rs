//! The HTTP side: routes, credentials and scopes, the error shape.

use super::{ALNUM, OWNER, State as Tailnet, TAILNET, acl, devices, keys, stamp};
use crate::world::World;
use axum::Router;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An OAuth client; it never expires.
pub(super) struct OauthClient {
    pub id: String,
    pub secret: String,
    pub scopes: Vec<String>,
    pub tags: Vec<String>,
    pub created: Timestamp,
}

/// What the token endpoint gave out.
pub(super) struct AccessToken {
    token: String,
    client: String,
    scopes: Vec<String>,
    pub expires: Timestamp,
}

/// Who is calling, once the credential has been looked at.
pub(super) struct Caller {
    scopes: Vec<String>,
    /// The tags of the OAuth client; `None` for the tailnet owner's API key.
    pub tags: Option<Vec<String>>,
}

/// An answer that refuses, in Tailscale's shape.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub message: String,
    pub data: Option<Value>,
}

pub(super) type Answer = Result<Response, Refusal>;

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Refusal { status, message: message.into(), data: None }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found() -> Self {
        Refusal::new(StatusCode::NOT_FOUND, "not found")
    }

    pub(super) fn body(&self) -> Value {
        let mut body = json!({"message": self.message});
        if let (Some(members), Some(data)) = (body.as_object_mut(), &self.data) {
            members.insert("data".into(), data.clone());
        }
        body
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, axum::Json(self.body())).into_response()
    }
}

pub(super) fn json_answer(body: Value) -> Answer {
    Ok(axum::Json(body).into_response())
}

pub(super) fn router(world: &World) -> Router {
    let tailnet = Router::new()
        .route("/devices", get(devices::list))
        .route("/keys", get(keys::list).post(keys::create))
        .route("/keys/{key}", get(keys::show).delete(keys::revoke))
        .route("/acl", get(acl::show).post(acl::replace))
        .route("/acl/validate", post(acl::validate))
        .route("/settings", get(settings).patch(change_settings))
        .route("/users", get(users));
    let device = Router::new()
        .route("/", get(devices::show).delete(devices::delete))
        .route("/authorized", post(devices::authorize))
        .route("/name", post(devices::rename))
        .route("/tags", post(devices::retag))
        .route("/key", post(devices::change_key))
        .route("/expire", post(devices::expire))
        .route("/ip", post(devices::readdress))
        .route("/routes", get(devices::routes).post(devices::enable_routes))
        .route("/attributes", get(devices::attributes))
        .route("/attributes/{name}", post(devices::set_attribute).delete(devices::clear_attribute));
    Router::new()
        .route("/api/v2/oauth/token", post(token))
        .nest("/api/v2/tailnet/{tailnet}", tailnet)
        .nest("/api/v2/device/{device}", device)
        .fallback(async || Refusal::not_found())
        .method_not_allowed_fallback(async || Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"))
        .with_state(world.clone())
}

impl Caller {
    /// Refuses a caller without the scope; a write scope includes its `:read`.
    pub(super) fn needs(&self, scope: &str) -> Result<(), Refusal> {
        let writes = scope.strip_suffix(":read").unwrap_or(scope);
        let held = self.scopes.iter().any(|held| {
            held == scope || held == writes || held == "all" || (held == "all:read" && scope.ends_with(":read"))
        });
        let refusal = "calling actor does not have enough permissions to perform this function";
        held.then_some(()).ok_or_else(|| Refusal::new(StatusCode::FORBIDDEN, refusal))
    }
}

impl FromRequestParts<World> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, world: &World) -> Result<Self, Refusal> {
        let token = credential(&parts.headers);
        let caller = world.with(|state| {
            let now = state.now();
            state.tailscale.sweep(now);
            if state.lies.contains("tailscale-any-token") {
                return Some(Caller { scopes: vec!["all".into()], tags: None });
            }
            let mut caller = state.tailscale.caller(&token?, now)?;
            if state.lies.contains("tailscale-scopes-ignored") {
                caller.scopes = vec!["all".into()];
            }
            Some(caller)
        });
        let caller = caller.ok_or_else(|| Refusal::new(StatusCode::UNAUTHORIZED, "API token invalid"))?;
        // Every path under a tailnet names it, by its organisation name or `-`, the caller's own.
        let named = Path::<BTreeMap<String, String>>::from_request_parts(parts, world).await;
        match named.ok().and_then(|Path(mut named)| named.remove("tailnet")) {
            Some(name) if name != "-" && name != TAILNET => Err(Refusal::not_found()),
            _ => Ok(caller),
        }
    }
}

/// A bearer token, or the user name of Basic with an empty password.
fn credential(headers: &HeaderMap) -> Option<String> {
    let (user, password) = match bearer(headers) {
        Some(token) => return Some(token),
        None => basic(headers)?,
    };
    password.is_empty().then_some(user)
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| (user.to_owned(), password.to_owned()))
}

impl Tailnet {
    fn caller(&self, token: &str, now: Timestamp) -> Option<Caller> {
        if token == self.api_key {
            return Some(Caller { scopes: vec!["all".into()], tags: None });
        }
        let token = self.tokens.iter().find(|known| known.token == token && known.expires > now)?;
        let client = self.clients.iter().find(|client| client.id == token.client)?;
        Some(Caller { scopes: token.scopes.clone(), tags: Some(client.tags.clone()) })
    }
}

/// The client credentials grant (RFC 6749 §4.4), credentials in the form or as Basic. What it answers beside the
/// standard's members, and that `tags` narrows nothing, is as tailscale/tailscale#15456 shows.
async fn token(State(world): State<World>, headers: HeaderMap, body: Bytes) -> Response {
    let form: BTreeMap<String, String> =
        axum::extract::Query::try_from_uri(&query_uri(&body)).map(|query| query.0).unwrap_or_default();
    let refuse = |status, error: &str, why: &str| {
        (status, axum::Json(json!({"error": error, "error_description": why, "message": why}))).into_response()
    };
    if form.get("grant_type").is_some_and(|grant| grant != "client_credentials") {
        return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type", "unsupported grant type");
    }
    let secret = form.get("client_secret").cloned().or_else(|| basic(&headers).map(|(_, secret)| secret));
    let id = form.get("client_id").cloned().or_else(|| basic(&headers).map(|(id, _)| id));
    let granted = world.with(|state| {
        let now = state.now();
        let (tailnet, anybody) = (&mut state.tailscale, state.lies.contains("tailscale-any-secret"));
        let client = tailnet.clients.iter().find(|client| {
            (anybody || secret.as_deref() == Some(&client.secret)) && id.as_ref().is_none_or(|id| *id == client.id)
        })?;
        let wanted: Vec<String> =
            form.get("scope").map(|text| text.split([' ', ',']).map(str::to_owned).collect()).unwrap_or_default();
        let holder = Caller { scopes: client.scopes.clone(), tags: None };
        if !wanted.iter().all(|scope| holder.needs(scope).is_ok()) {
            return Some(Err(()));
        }
        let scopes = if wanted.is_empty() { client.scopes.clone() } else { wanted };
        let mut draws = tailnet.rng.child(&format!("token {} {}", now.as_nanosecond(), tailnet.tokens.len()));
        let token = format!("tskey-api-k{}CNTRL-{}", draws.text(ALNUM, 6), draws.text(ALNUM, 32));
        let answer = json!({
            "access_token": token, "token_type": "Bearer", "expires_in": 3600,
            "scope": scopes.join(" "), "tags": client.tags.join(" "),
        });
        let expires = now.saturating_add(SignedDuration::from_hours(1)).unwrap_or(now);
        let client = client.id.clone();
        tailnet.tokens.push(AccessToken { token, client, scopes, expires });
        Some(Ok(answer))
    });
    match granted {
        Some(Ok(answer)) => ([(header::CACHE_CONTROL, "no-store")], axum::Json(answer)).into_response(),
        Some(Err(())) => refuse(StatusCode::BAD_REQUEST, "invalid_scope", "requested scope is not granted"),
        None => refuse(StatusCode::UNAUTHORIZED, "invalid_client", "API token invalid"),
    }
}

/// A form body is a query string.
fn query_uri(body: &Bytes) -> http::Uri {
    let text = String::from_utf8_lossy(body);
    format!("/?{}", text.trim()).parse().unwrap_or_default()
}

async fn settings(State(world): State<World>, caller: Caller) -> Answer {
    caller.needs("feature_settings:read")?;
    json_answer(world.with(|state| settings_body(&state.tailscale)))
}

async fn change_settings(State(world): State<World>, caller: Caller, body: Bytes) -> Answer {
    caller.needs("feature_settings")?;
    let wanted = read_json(&body)?;
    json_answer(world.with(|state| {
        if let Some(on) = wanted.get("devicesApprovalOn").and_then(Value::as_bool) {
            state.tailscale.approval_on = on;
        }
        settings_body(&state.tailscale)
    }))
}

fn settings_body(tailnet: &Tailnet) -> Value {
    json!({
        "aclsExternallyManagedOn": false, "aclsExternalLink": "", "devicesApprovalOn": tailnet.approval_on,
        "devicesAutoUpdatesOn": false, "devicesKeyDurationDays": 180, "usersApprovalOn": false,
        "usersRoleAllowedToJoinExternalTailnets": "admin", "networkFlowLoggingOn": false,
        "regionalRoutingOn": false, "postureIdentityCollectionOn": false, "httpsEnabled": false,
    })
}

async fn users(State(world): State<World>, caller: Caller, Path(_): Path<String>) -> Answer {
    caller.needs("users:read")?;
    json_answer(world.with(|state| {
        let tailnet = &state.tailscale;
        let user = |login: &str, id: &str, role: &str| {
            let own = tailnet.devices.values().filter(|device| device.user() == login);
            let created = tailnet.clients.first().map(|client| stamp(client.created));
            json!({
                "id": id, "displayName": login.split('@').next(), "loginName": login, "profilePicUrl": "",
                "tailnetId": "9283410", "created": created, "type": "member", "role": role, "status": "active",
                "deviceCount": own.clone().count(), "currentlyConnected": own.clone().any(|device| device.connected),
                "lastSeen": stamp(state.now()),
            })
        };
        json!({"users": [user(OWNER, "u1CNTRL", "owner"), user(super::MEMBER, "u2CNTRL", "member")]})
    }))
}

/// The body as JSON; an empty one is an empty object.
pub(super) fn read_json(body: &Bytes) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("invalid request body: {error}")))
}
