//! Somebody between the product and the vendors, who changes what a node will receive.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use flate2::read::GzDecoder;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, header};
use life::Life;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Read as _;
use std::sync::Arc;
use wire::{Body, Error, Line, Secret, SharedWire, Stream, Target, Wire};

/// Larger bodies (parts of images) pass unseen.
const SEEN_BYTES_MAX: usize = 1 << 20;

/// A request on its way.
pub struct Passing {
    pub host: String,
    pub method: Method,
    /// With the query.
    pub path: String,
    pub body: Value,
}

/// What is done to requests on their way.
pub type Meddling = fn(&mut Passing);

impl Passing {
    fn is(&self, method: &Method, path: &str) -> bool {
        self.method == *method && self.path.split('?').next() == Some(path)
    }

    /// Changes the body of the launch of `node`, wherever it is launched.
    pub fn launch(&mut self, node: &str, change: impl FnOnce(&mut Value)) {
        let name = format!("bouquet-{node}");
        let at_hetzner = self.is(&Method::POST, "/v1/servers") && self.body["name"] == *name;
        let at_oci = self.is(&Method::POST, "/20160918/instances") && self.body["displayName"] == *name;
        if at_hetzner || at_oci {
            change(&mut self.body);
        }
    }

    /// Changes the user data that `node` is launched with.
    pub fn user_data(&mut self, node: &str, change: impl FnOnce(&str) -> String) {
        self.launch(node, |body| {
            let data = if body.get("user_data").is_some() {
                &mut body["user_data"]
            } else {
                &mut body["metadata"]["user_data"]
            };
            *data = change(data.as_str().expect("user data")).into();
        });
    }

    /// In the configuration that `node` gets as user data, changes the first `from` that stands after `after`.
    pub fn config(&mut self, node: &str, after: &str, from: &str, to: &str) {
        self.user_data(node, |data| {
            let mut config = String::new();
            let packed = STANDARD.decode(data).expect("base64");
            GzDecoder::new(packed.as_slice()).read_to_string(&mut config).expect("gzip");
            let at = config.find(after).expect("a field");
            let (before, rest) = config.split_at(at);
            assert!(rest.contains(from), "{from} does not stand after {after} in the configuration of {node}");
            let changed = Secret::new(format!("{before}{}", rest.replacen(from, to, 1)));
            talos::user_data(&changed, talos::Platform::Hcloud).expect("small enough").expose().to_owned()
        });
    }

    /// Lets keys for the tailnet run out a second after they were minted.
    pub fn expire_key(&mut self, node: &str) {
        let of_node = self.body["description"].as_str().is_some_and(|text| text.ends_with(&format!(" {node}")));
        if self.host == "api.tailscale.com" && self.method == Method::POST && of_node {
            self.body["expirySeconds"] = json!(1);
        }
    }

    /// Fetches another disk image from the factory.
    pub fn image(&mut self, from: &str, to: &str) {
        if self.host == "factory.talos.dev" {
            self.path = self.path.replace(from, to);
        }
    }

    /// Has OCI start machines from the image with another firmware.
    pub fn firmware(&mut self, word: &str) {
        if self.is(&Method::POST, "/20160918/computeImageCapabilitySchemas") {
            let firmware = &mut self.body["schemaData"]["Compute.Firmware"];
            firmware["values"] = json!([word]);
            firmware["defaultValue"] = json!(word);
        }
    }
}

/// Puts `meddling` between this life's product and its world.
pub fn meddle(life: &mut Life, meddling: Meddling) {
    let credentials = life.world.credentials();
    let oci_key = credentials.get("OCI_KEY").cloned().expect("an OCI key");
    let wire: SharedWire = Arc::new(Meddler { inner: life.world.wire(), meddling, oci_key });
    life.reach.line = Line::new(wire, life.reach.line.time().clone(), clouds::RATES);
}

struct Meddler {
    inner: SharedWire,
    meddling: Meddling,
    oci_key: String,
}

impl Wire for Meddler {
    fn call(&self, target: &Target, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, Error>> {
        use http_body::Body as _;
        let (inner, meddling, oci_key) = (self.inner.clone(), self.meddling, self.oci_key.clone());
        let target = target.clone();
        let length = request.body().size_hint().exact();
        if target.port != 443 || length.is_none_or(|length| length > SEEN_BYTES_MAX as u64) {
            return inner.call(&target, request);
        }
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let body = body.collect(SEEN_BYTES_MAX).await.expect("a request's body");
            let before = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let mut passing = Passing {
                host: target.host.clone(),
                method: parts.method.clone(),
                path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
                body: before.clone(),
            };
            meddling(&mut passing);
            let body = if passing.body == before { body } else { Bytes::from(passing.body.to_string()) };
            let mut uri = parts.uri.clone().into_parts();
            uri.path_and_query = Some(passing.path.parse().expect("a path"));
            parts.uri = http::Uri::from_parts(uri).expect("an address");
            if passing.body != before {
                renew(&mut parts, &body, &oci_key);
            }
            inner.call(&target, Request::from_parts(parts, body.into())).await
        })
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, Error>> {
        self.inner.open(target)
    }
}

/// Headers that depend on the body; and where the request was signed, the signature, over the same headers.
fn renew(parts: &mut http::request::Parts, body: &[u8], oci_key: &str) {
    if parts.headers.contains_key(header::CONTENT_LENGTH) {
        parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    if !parts.headers.contains_key("x-content-sha256") {
        return;
    }
    let digest = STANDARD.encode(Sha256::digest(body));
    parts.headers.insert("x-content-sha256", HeaderValue::from_str(&digest).expect("base64"));
    let authorization = parts.headers[header::AUTHORIZATION].to_str().expect("text").to_owned();
    let quoted = |name: &str| authorization.split_once(&format!("{name}=\"")).unwrap().1.split_once('"').unwrap().0;
    let target = format!("{} {}", parts.method.as_str().to_lowercase(), parts.uri.path_and_query().unwrap());
    let lines = quoted("headers").split(' ').map(|name| match name {
        "(request-target)" => format!("{name}: {target}"),
        _ => format!("{name}: {}", parts.headers[name].to_str().unwrap()),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let block = pem::parse(oci_key).expect("a PEM file");
    let key = RsaKeyPair::from_pkcs8(block.contents()).or_else(|_| RsaKeyPair::from_der(block.contents()));
    let key = key.expect("an RSA key");
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &ring::rand::SystemRandom::new(), text.as_bytes(), &mut signature)
        .expect("a signature");
    let signed = authorization.replace(quoted("signature"), &STANDARD.encode(signature));
    parts.headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&signed).expect("ASCII"));
}
