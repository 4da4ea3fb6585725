//! The way to the Kubernetes API: over the wire, as a service account or as a kubeconfig says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clouds::Settings;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use kube::config::AuthInfo;
use secrecy::ExposeSecret as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use wire::{Body, BoxError, Channel, Identity, Roots, Route, Secret, SharedWire, Target, Time, Tls};

/// Where the kubelet lays a pod's credentials.
pub const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Answers begin sooner than this, watches too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The kubelet renews a token at four fifths of its hour.
const TOKEN_KEPT: Duration = Duration::from_mins(1);

/// Labels of keys that TLS takes as they are.
const KEYS: [&str; 3] = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];

/// Reads a token anew.
pub type TokenSource = Arc<dyn Fn() -> Option<Secret> + Send + Sync>;

/// An API server, and who one is there.
#[derive(Clone)]
pub struct Access {
    target: Target,
    token: Option<TokenSource>,
    namespace: String,
}

/// Why there is no way to the API.
#[derive(Debug, thiserror::Error)]
#[error("no way to the Kubernetes API: {0}")]
pub struct NoAccess(String);

impl Access {
    /// As the service account of the pod that these settings are of.
    pub fn of_pod(settings: &Arc<dyn Settings>, namespace: &str) -> Result<Self, NoAccess> {
        let variable = |name: &str| {
            let found = settings.variable(name).map(|value| value.expose().to_owned());
            found.ok_or_else(|| NoAccess(format!("{name} is not set: run in a pod, or name a --kubeconfig")))
        };
        let host = variable("KUBERNETES_SERVICE_HOST")?;
        let port = variable("KUBERNETES_SERVICE_PORT")?;
        let port = port.parse().map_err(|error| NoAccess(format!("KUBERNETES_SERVICE_PORT: {error}")))?;
        let ca = settings.file(&format!("{SERVICE_ACCOUNT}/ca.crt")).map_err(NoAccess)?;
        let of_token = settings.clone();
        let token = Arc::new(move || {
            let text = of_token.file(&format!("{SERVICE_ACCOUNT}/token")).ok()?;
            Some(Secret::new(text.expose().trim()))
        });
        Self::in_cluster(&host, port, ca.expose().as_bytes(), token, namespace)
    }

    /// As a pod's service account; `ca` is PEM.
    pub fn in_cluster(host: &str, port: u16, ca: &[u8], token: TokenSource, namespace: &str) -> Result<Self, NoAccess> {
        let tls = Tls { server_name: host.to_owned(), roots: Roots::Only(certificates(ca)?), identity: None };
        let target = Target { route: Route::Direct, host: host.to_owned(), port, tls: Some(tls) };
        Ok(Access { target, token: Some(token), namespace: namespace.to_owned() })
    }

    /// As a kubeconfig says. Tokens, token files and client certificates are understood; helper programs are not run.
    pub fn of_config(config: &kube::Config) -> Result<Self, NoAccess> {
        let url = &config.cluster_url;
        let mut target = Target::of_uri(url).ok_or_else(|| NoAccess(format!("{url} is no http or https address")))?;
        let auth = &config.auth_info;
        if auth.exec.is_some() || auth.auth_provider.is_some() {
            return Err(NoAccess(
                "the kubeconfig asks for a helper program: make one with a token or a certificate".into(),
            ));
        }
        if let Some(tls) = &mut target.tls {
            if config.accept_invalid_certs {
                tls.roots = Roots::Unverified;
            } else if let Some(roots) = &config.root_cert {
                tls.roots = Roots::Only(roots.clone());
            }
            if let Some(name) = &config.tls_server_name {
                tls.server_name.clone_from(name);
            }
            tls.identity = identity(auth)?;
        }
        let fixed = auth.token.as_ref().map(|token| {
            let token = Secret::new(token.expose_secret());
            Arc::new(move || Some(token.clone())) as TokenSource
        });
        let read = auth.token_file.clone().map(|path| {
            Arc::new(move || std::fs::read_to_string(&path).ok().map(|text| Secret::new(text.trim()))) as TokenSource
        });
        Ok(Access { target, token: fixed.or(read), namespace: config.default_namespace.clone() })
    }

    /// A client; clones of it share connections.
    pub fn client(&self, wire: SharedWire, time: Time) -> kube::Client {
        let channel = Channel::new(wire, time.clone(), self.target.clone(), HEAD_TIMEOUT);
        let bearer = Bearer { channel, token: self.token.clone(), time, kept: Arc::default() };
        kube::Client::new(bearer, self.namespace.clone())
    }
}

/// Certificates of a PEM file, DER.
pub fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, NoAccess> {
    let blocks = pem::parse_many(text).map_err(|error| NoAccess(format!("a CA file is no PEM: {error}")))?;
    let found: Vec<Vec<u8>> =
        blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE").map(pem::Pem::into_contents).collect();
    if found.is_empty() { Err(NoAccess("a CA file holds no certificate".into())) } else { Ok(found) }
}

fn identity(auth: &AuthInfo) -> Result<Option<Identity>, NoAccess> {
    let read = |data: Option<&str>, path: Option<&str>| match (data, path) {
        (Some(data), _) => STANDARD.decode(data).map(Some).map_err(|error| NoAccess(format!("not base64: {error}"))),
        (None, Some(path)) => std::fs::read(path).map(Some).map_err(|error| NoAccess(format!("{path}: {error}"))),
        (None, None) => Ok(None),
    };
    let chain = read(auth.client_certificate_data.as_deref(), auth.client_certificate.as_deref())?;
    let key = read(auth.client_key_data.as_ref().map(|key| key.expose_secret()), auth.client_key.as_deref())?;
    let (Some(chain), Some(key)) = (chain, key) else { return Ok(None) };
    let blocks = pem::parse_many(key).map_err(|error| NoAccess(format!("a client key is no PEM: {error}")))?;
    // kubeadm writes PKCS#1, k3s SEC1, sometimes behind a block of parameters.
    let mut keys = blocks.into_iter().filter(|block| KEYS.contains(&block.tag()));
    let key = keys.next().ok_or_else(|| NoAccess(format!("a client key is none of {}", KEYS.join(", "))))?;
    Ok(Some(Identity::new(certificates(&chain)?, key.into_contents())))
}

/// Puts a bearer token on each request, read anew as the kubelet renews it.
#[derive(Clone)]
struct Bearer {
    channel: Channel,
    token: Option<TokenSource>,
    time: Time,
    kept: Arc<Mutex<Option<(Duration, HeaderValue)>>>,
}

impl Bearer {
    fn header(&self) -> Option<HeaderValue> {
        let source = self.token.as_ref()?;
        let now = self.time.elapsed();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, value)) = &*kept
            && now.saturating_sub(*read) < TOKEN_KEPT
        {
            return Some(value.clone());
        }
        let fresh = source().and_then(|token| HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok());
        match fresh {
            Some(mut value) => {
                value.set_sensitive(true);
                *kept = Some((now, value.clone()));
                Some(value)
            }
            // A token that cannot be read just now is as good as it was.
            None => kept.as_ref().map(|(_, value)| value.clone()),
        }
    }
}

impl<B> tower::Service<Request<B>> for Bearer
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = wire::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, wire::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), wire::Error>> {
        tower::Service::<Request<B>>::poll_ready(&mut self.channel, context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(value) = self.header() {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        self.channel.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
    use rustls_pki_types::PrivateKeyDer;

    /// The last part of a P-256 key's PKCS#8 is its SEC1, of this length.
    const SEC1_BYTES: usize = 109;

    fn identity_of(key: &str) -> Result<Option<Identity>, NoAccess> {
        let pair = KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&pair).unwrap().pem();
        let auth = serde_json::json!({
            "client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(key),
        });
        identity(&serde_json::from_value(auth).unwrap())
    }

    #[test]
    fn a_kubeconfigs_key_may_be_written_as_old_programs_write_it() {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let whole = pair.serialize_der();
        let sec1 = pem::encode(&pem::Pem::new("EC PRIVATE KEY", &whole[whole.len() - SEC1_BYTES..]));
        let parameters = pem::encode(&pem::Pem::new("EC PARAMETERS", vec![6, 8, 42, 134, 72, 206, 61, 3, 1, 7]));
        for (text, is_sec1) in [(pair.serialize_pem(), false), (sec1.clone(), true), (parameters.clone() + &sec1, true)]
        {
            let found = identity_of(&text).unwrap().unwrap();
            let key = PrivateKeyDer::try_from(found.key()).unwrap();
            assert_eq!(matches!(key, PrivateKeyDer::Sec1(_)), is_sec1);
        }
        let refused = identity_of(&parameters).unwrap_err().to_string();
        assert!(refused.contains("RSA PRIVATE KEY"), "{refused}");
    }
}
