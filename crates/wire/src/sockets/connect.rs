use super::MeshProxy;
use crate::{BoxError, Error, Identity, Roots, Stream, Target, Tls};
use futures::future::BoxFuture;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::{Service, ServiceExt};

/// Connects to one target; what hyper's pool asks for each new connection.
#[derive(Clone)]
pub(super) struct Connector {
    target: Target,
    proxy: Option<MeshProxy>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Connector {
    pub(super) fn new(target: Target, proxy: Option<MeshProxy>, system: &Arc<RootCertStore>) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Tls { host: target.authority(), reason };
        let tls = match &target.tls {
            None => None,
            Some(tls) => {
                let name = ServerName::try_from(tls.server_name.clone()).map_err(|error| refuse(error.to_string()))?;
                let config = client_config(tls, system).map_err(|error| refuse(error.to_string()))?;
                Some((Arc::new(config), name))
            }
        };
        Ok(Connector { target, proxy, tls })
    }

    /// A plain or TLS stream for callers that speak something other than HTTP; no ALPN is offered.
    pub(super) async fn stream(self) -> Result<Box<dyn Stream>, Error> {
        let tcp = self.tcp().await?;
        let Some((config, name)) = self.tls else { return Ok(Box::new(tcp)) };
        let mut config = (*config).clone();
        config.alpn_protocols.clear();
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
        Ok(Box::new(tls.map_err(|error| sort(&self.target, error.into()))?))
    }

    async fn tcp(&self) -> Result<TcpStream, Error> {
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        plain.set_nodelay(true);
        let authority = self.target.authority();
        let uri: http::Uri =
            format!("http://{authority}/").parse().map_err(|_| Error::NoSuchHost(self.target.host.clone()))?;
        let io = match self.proxy.clone() {
            None => plain.oneshot(uri).await.map_err(|error| sort(&self.target, error.into()))?,
            Some(MeshProxy::Socks5(proxy)) => {
                SocksV5::new(proxy, plain).oneshot(uri).await.map_err(|error| self.through(&error))?
            }
            Some(MeshProxy::Connect(proxy)) => {
                Tunnel::new(proxy, plain).oneshot(uri).await.map_err(|error| self.through(&error))?
            }
        };
        Ok(io.into_inner())
    }

    fn through(&self, error: &dyn std::error::Error) -> Error {
        Error::Proxy { host: self.target.authority(), reason: chain(error) }
    }
}

impl Service<http::Uri> for Connector {
    type Response = Conn;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Conn, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let tcp = connector.tcp().await?;
            let Some((config, name)) = connector.tls else {
                return Ok(Conn { io: TokioIo::new(Box::new(tcp)), h2: false });
            };
            let tls = TlsConnector::from(config).connect(name, tcp).await?;
            let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
            Ok(Conn { io: TokioIo::new(Box::new(tls)), h2 })
        })
    }
}

/// A connection that knows which HTTP it agreed on.
pub(super) struct Conn {
    io: TokioIo<Box<dyn Stream>>,
    h2: bool,
}

impl Connection for Conn {
    fn connected(&self) -> Connected {
        if self.h2 { Connected::new().negotiated_h2() } else { Connected::new() }
    }
}

impl Read for Conn {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

fn client_config(tls: &Tls, system: &Arc<RootCertStore>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match &tls.roots {
        Roots::System => builder.with_root_certificates(system.clone()),
        Roots::Only(authorities) => {
            let mut roots = RootCertStore::empty();
            for authority in authorities {
                roots.add(CertificateDer::from(authority.clone()))?;
            }
            builder.with_root_certificates(roots)
        }
        Roots::Unverified => builder.dangerous().with_custom_certificate_verifier(Arc::new(FirstContact(provider))),
    };
    let mut config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = parts(identity)?;
            builder.with_client_auth_cert(chain, key)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

type Parts = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn parts(identity: &Identity) -> Result<Parts, rustls::Error> {
    let chain = identity.chain().iter().cloned().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::try_from(identity.key().to_vec());
    Ok((chain, key.map_err(|said| rustls::Error::General(format!("the client key: {said}")))?))
}

/// Takes any certificate: a Talos machine in maintenance mode shows one that it has just made up. Signatures are
/// still checked, so that the stream is at least with whoever holds that key.
#[derive(Debug)]
struct FirstContact(Arc<CryptoProvider>);

impl ServerCertVerifier for FirstContact {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Sorts whatever hyper, rustls or the operating system said.
pub(super) fn sort(target: &Target, error: BoxError) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(ours) => return *ours,
        Err(other) => other,
    };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error.as_ref());
    while let Some(at) = cause {
        if let Some(ours) = at.downcast_ref::<Error>() {
            return ours.clone();
        }
        if let Some(tls) = at.downcast_ref::<rustls::Error>() {
            return Error::Tls { host: target.authority(), reason: tls.to_string() };
        }
        if let Some(io) = at.downcast_ref::<io::Error>() {
            if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return Error::Tls { host: target.authority(), reason: tls.to_string() };
            }
            match io.kind() {
                io::ErrorKind::ConnectionRefused => return Error::Refused(target.authority()),
                io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                    return Error::TimedOut(target.authority());
                }
                _ => {}
            }
        }
        if at.to_string() == "dns error" {
            return Error::NoSuchHost(target.host.clone());
        }
        cause = at.source();
    }
    Error::Broken { host: target.authority(), reason: chain(error.as_ref()) }
}

/// The whole chain of causes in one line, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(at) = cause {
        let words = at.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = at.source();
    }
    text
}
