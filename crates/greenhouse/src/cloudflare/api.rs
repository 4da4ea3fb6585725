//! The HTTP side: routes, tokens, the rate limit, the envelope.

use super::{State as Account, batch, records};
use crate::world::World;
use axum::Router;
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Calls of one user in [`WINDOW`], over all tokens.
const CALLS_MAX: usize = 1200;
/// The window of the rate limit, and how long everything is refused once it is passed.
const WINDOW: SignedDuration = SignedDuration::from_secs(300);

/// An API token with Zone:Read and DNS:Edit on one zone.
pub(super) struct Token {
    pub id: String,
    pub text: String,
    /// Id of its zone.
    pub zone: String,
}

/// The user's calls of the last five minutes.
#[derive(Default)]
pub(super) struct Rate {
    calls: VecDeque<Timestamp>,
    blocked_until: Option<Timestamp>,
}

impl Rate {
    /// Counts a call; the calls that are left, or the seconds to wait.
    fn take(&mut self, now: Timestamp) -> Result<usize, i64> {
        if let Some(until) = self.blocked_until.filter(|until| *until > now) {
            return Err(until.duration_since(now).as_secs().max(1));
        }
        while self.calls.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            self.calls.pop_front();
        }
        if self.calls.len() >= CALLS_MAX {
            self.blocked_until = now.saturating_add(WINDOW).ok();
            return Err(WINDOW.as_secs());
        }
        self.calls.push_back(now);
        Ok(CALLS_MAX - self.calls.len())
    }
}

/// An answer that refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    status: StatusCode,
    errors: Vec<Value>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: u32, message: &str) -> Self {
        Failure { status, errors: vec![json!({"code": code, "message": message})] }
    }

    pub(super) fn bad(code: u32, message: &str) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// The validation error, with what is wrong in its chain.
    pub(super) fn invalid(code: u32, message: &str) -> Self {
        let chain = json!([{"code": code, "message": message}]);
        let error = json!({"code": 1004, "message": "DNS Validation Error", "error_chain": chain});
        Failure { status: StatusCode::BAD_REQUEST, errors: vec![error] }
    }

    pub(super) fn no_record() -> Self {
        Failure::new(StatusCode::NOT_FOUND, 81_044, "Record does not exist.")
    }

    fn no_route(path: &str) -> Self {
        let message = format!("Could not route to {path}, perhaps your object identifier is invalid?");
        let errors =
            vec![json!({"code": 7003, "message": message}), json!({"code": 7000, "message": "No route for that URI"})];
        Failure { status: StatusCode::NOT_FOUND, errors }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({"result": null, "success": false, "errors": self.errors, "messages": []});
        (self.status, axum::Json(body)).into_response()
    }
}

pub(super) type Answer = Result<Response, Failure>;

pub(super) fn success(result: &Value) -> Answer {
    let body = json!({"result": result, "success": true, "errors": [], "messages": []});
    Ok(axum::Json(body).into_response())
}

/// A page of a list.
#[derive(Clone, Copy)]
pub(super) struct Page {
    pub number: usize,
    pub size: usize,
}

impl Page {
    pub(super) fn read(query: &BTreeMap<String, String>, default: usize, largest: usize) -> Self {
        let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok()).filter(|n| *n > 0);
        Page { number: number("page").unwrap_or(1), size: number("per_page").unwrap_or(default).min(largest) }
    }

    pub(super) fn answer(self, all: &[Value]) -> Answer {
        let first = (self.number - 1).saturating_mul(self.size);
        let page: Vec<&Value> = all.iter().skip(first).take(self.size).collect();
        let info = json!({
            "page": self.number, "per_page": self.size, "count": page.len(), "total_count": all.len(),
            "total_pages": all.len().div_ceil(self.size),
        });
        let body = json!({"result": page, "success": true, "errors": [], "messages": [], "result_info": info});
        Ok(axum::Json(body).into_response())
    }
}

pub(super) fn router(world: &World) -> Router {
    let record = get(records::show).patch(records::patch).put(records::put).delete(records::delete);
    Router::new()
        .route("/client/v4/user/tokens/verify", get(verify))
        .route("/client/v4/zones", get(zones))
        .route("/client/v4/zones/{zone}", get(show_zone))
        .route("/client/v4/zones/{zone}/dns_records", get(records::list).post(records::create))
        .route("/client/v4/zones/{zone}/dns_records/batch", post(batch::run))
        .route("/client/v4/zones/{zone}/dns_records/{record}", record)
        .fallback(async |uri: http::Uri| Failure::no_route(uri.path()))
        .method_not_allowed_fallback(async || {
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, 7001, "Method not available for that URI.")
        })
        .layer(middleware::from_fn_with_state(world.clone(), limit))
        // Asking for the address ranges names no user and costs nothing.
        .route("/client/v4/ips", get(ips))
        .with_state(world.clone())
}

/// The rate limit, over everything that names a user.
async fn limit(State(world): State<World>, request: Request, next: Next) -> Response {
    let taken = world.with(|state| {
        let now = state.now();
        state.cloudflare.rate.take(now)
    });
    match taken {
        Ok(left) => {
            let mut response = next.run(request).await;
            let headers = response.headers_mut();
            headers.insert("ratelimit-policy", HeaderValue::from_static("\"default\";q=1200;w=300"));
            if let Ok(value) = HeaderValue::from_str(&format!("\"default\";r={left};t=300")) {
                headers.insert("ratelimit", value);
            }
            response
        }
        Err(wait_s) => {
            let message = "Please wait and consider throttling your request speed";
            let failure = Failure::new(StatusCode::TOO_MANY_REQUESTS, 971, message);
            ([(header::RETRY_AFTER, wait_s.to_string())], failure).into_response()
        }
    }
}

/// Whose token it is.
pub(super) struct Caller {
    token: String,
    zone: String,
}

/// A caller who may see the zone in the path.
pub(super) struct InZone {
    /// Id of the zone.
    pub zone: String,
}

impl FromRequestParts<World> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, world: &World) -> Result<Self, Failure> {
        let text = bearer(&parts.headers)?;
        let found = world.with(|state| {
            let anybody = state.lies.contains("cloudflare-any-token");
            let token = state.cloudflare.tokens.iter().find(|token| token.text == text || anybody)?;
            Some(Caller { token: token.id.clone(), zone: token.zone.clone() })
        });
        found.ok_or_else(|| {
            if parts.uri.path().ends_with("/tokens/verify") {
                Failure::new(StatusCode::UNAUTHORIZED, 1000, "Invalid API Token")
            } else {
                Failure::new(StatusCode::FORBIDDEN, 9109, "Invalid access token")
            }
        })
    }
}

fn bearer(headers: &HeaderMap) -> Result<String, Failure> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        let message = "Missing X-Auth-Key, X-Auth-Email or Authorization headers";
        return Err(Failure::bad(9106, message));
    };
    let token = value.to_str().ok().and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let is_token = |token: &&str| token.len() >= 40 && token.bytes().all(|byte| super::TOKEN_LETTERS.contains(&byte));
    token.filter(is_token).map(str::to_owned).ok_or_else(|| {
        let chain = json!([{"code": 6111, "message": "Invalid format for Authorization header"}]);
        let error = json!({"code": 6003, "message": "Invalid request headers", "error_chain": chain});
        Failure { status: StatusCode::BAD_REQUEST, errors: vec![error] }
    })
}

impl FromRequestParts<World> for InZone {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, world: &World) -> Result<Self, Failure> {
        let caller = Caller::from_request_parts(parts, world).await?;
        let named = Path::<BTreeMap<String, String>>::from_request_parts(parts, world).await;
        let named = named.map(|Path(named)| named).unwrap_or_default();
        let is_id = |id: &String| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !named.values().all(is_id) {
            return Err(Failure::no_route(parts.uri.path()));
        }
        let everywhere = world.lies("cloudflare-other-zone");
        let zone = named.get("zone").filter(|zone| **zone == caller.zone || everywhere).cloned();
        let refusal = Failure::new(StatusCode::FORBIDDEN, 10_000, "Authentication error");
        let zone = zone.ok_or_else(|| refusal.clone())?;
        if is_hidden(world, &zone) { Err(refusal) } else { Ok(InZone { zone }) }
    }
}

fn is_hidden(world: &World, zone: &str) -> bool {
    let name = world.with(|state| {
        let found = state.cloudflare.zones.iter().find(|known| known.id == zone);
        found.map(|zone| zone.name.clone()).unwrap_or_default()
    });
    world.fault("cloudflare", "zone-hidden", &name).is_some()
}

async fn verify(caller: Caller) -> Response {
    let message = json!({"code": 10_000, "message": "This API Token is valid and active", "type": null});
    let result = json!({"id": caller.token, "status": "active"});
    axum::Json(json!({"result": result, "success": true, "errors": [], "messages": [message]})).into_response()
}

/// Zones that the token sees. `name` may begin with an operator (`equal:`, `contains:`, `starts_with:`, `ends_with:`).
async fn zones(State(world): State<World>, caller: Caller, Query(query): Query<BTreeMap<String, String>>) -> Answer {
    let hidden = is_hidden(&world, &caller.zone);
    let fits = |name: &str| {
        let Some(wanted) = query.get("name").map(|text| text.to_ascii_lowercase()) else { return true };
        match wanted.split_once(':') {
            Some(("contains", part)) => name.contains(part),
            Some(("starts_with", part)) => name.starts_with(part),
            Some(("ends_with", part)) => name.ends_with(part),
            Some(("not_equal", other)) => name != other,
            Some((_, same)) => name == same,
            None => name == wanted,
        }
    };
    let is_active = query.get("status").is_none_or(|status| status == "active");
    let found = world.with(|state| {
        let Account { zones, account, .. } = &state.cloudflare;
        let of_account = query.get("account.id").is_none_or(|id| id == account);
        let seen = zones.iter().filter(|zone| zone.id == caller.zone && !hidden && is_active && of_account);
        seen.filter(|zone| fits(&zone.name)).map(|zone| zone.body(account)).collect::<Vec<_>>()
    });
    Page::read(&query, 20, 50).answer(&found)
}

async fn show_zone(State(world): State<World>, at: InZone) -> Answer {
    let body = world.with(|state| {
        let zone = state.cloudflare.zones.iter().find(|zone| zone.id == at.zone)?;
        Some(zone.body(&state.cloudflare.account))
    });
    success(&body.unwrap_or_default())
}

/// Cloudflare's own address ranges, from <https://www.cloudflare.com/ips/>; open to everybody.
async fn ips() -> Answer {
    success(&json!({
        "ipv4_cidrs": [
            "173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18",
            "108.162.192.0/18", "190.93.240.0/20", "188.114.96.0/20", "197.234.240.0/22", "198.41.128.0/17",
            "162.158.0.0/15", "104.16.0.0/13", "104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22",
        ],
        "ipv6_cidrs": [
            "2400:cb00::/32", "2606:4700::/32", "2803:f800::/32", "2405:b500::/32", "2405:8100::/32", "2a06:98c0::/29",
            "2c0f:f248::/32",
        ],
        "etag": "38f79d050aa027e3be3865e495dcc9bc",
    }))
}
