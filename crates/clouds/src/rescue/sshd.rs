//! An SSH server for tests: one authorised key, and a shell that is a function.

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::{self, Auth, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use std::sync::Arc;

/// Exit status of a command, and what it writes to its standard error.
pub(crate) type Shell = fn(&str) -> (u32, &'static str);

/// The server's mind.
#[derive(Clone)]
pub(crate) struct Sshd {
    /// OpenSSH format.
    pub authorized: String,
    pub shell: Shell,
}

impl Sshd {
    /// Serves one connection.
    pub async fn serve(self, stream: tokio::io::DuplexStream) {
        let host_key = PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
        let config = server::Config {
            keys: vec![host_key],
            auth_rejection_time: std::time::Duration::ZERO,
            ..server::Config::default()
        };
        if let Ok(session) = server::run_stream(Arc::new(config), stream, self).await {
            let _ = session.await;
        }
    }
}

impl server::Handler for Sshd {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let known = user == "root" && key.public_key.to_openssh().is_ok_and(|key| key == self.authorized);
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, data: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        let (status, stderr) = (self.shell)(&String::from_utf8_lossy(data));
        session.channel_success(id)?;
        session.extended_data(id, 1, stderr.as_bytes().to_vec())?;
        session.exit_status_request(id, status)?;
        session.eof(id)?;
        session.close(id)
    }
}
