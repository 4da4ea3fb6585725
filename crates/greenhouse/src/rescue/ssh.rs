//! The SSH server: root by key or password, one command a channel.

use super::Armed;
use super::shell::{Said, Shell};
use crate::machine::{self, MachineId};
use crate::world::World;
use bytes::Bytes;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Disconnect, SshId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use wire::Stream;

/// How often a session looks whether its machine still runs.
const WATCH: Duration = Duration::from_secs(1);

/// Serves one connection until either side ends it or the machine is gone.
pub(super) async fn serve(world: World, id: MachineId, boot: u64, access: Arc<Armed>, stream: Box<dyn Stream>) {
    // A new host key each boot, as a RAM disk has it: nobody can know it beforehand.
    let seed = world.rng(&format!("rescue host key {id} {boot}")).bytes::<32>();
    let changes = world.lies("rescue-host-key-changes");
    let seed = if changes { world.with(|state| state.rng().bytes::<32>()) } else { seed };
    let config = Config {
        server_id: SshId::Standard("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7".into()),
        keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(&seed))],
        auth_rejection_time: Duration::from_secs(1),
        auth_rejection_time_initial: Some(Duration::ZERO),
        inactivity_timeout: None,
        ..Config::default()
    };
    let visitor = Visitor { world: world.clone(), id, boot, access, stdin: BTreeMap::new(), waiting: BTreeMap::new() };
    let Ok(session) = server::run_stream(Arc::new(config), stream, visitor).await else { return };
    let handle = session.handle();
    let gone = async {
        while world.with(|state| machine::is_boot(state, id, boot)) {
            world.delay(WATCH).await;
        }
    };
    tokio::select! {
        biased;
        _ = session => {}
        () = gone => {
            let _ = handle.disconnect(Disconnect::ByApplication, "the system is going down".into(), String::new()).await;
        }
    }
}

/// One client.
struct Visitor {
    world: World,
    id: MachineId,
    boot: u64,
    access: Arc<Armed>,
    /// What feeds each channel's command; dropped at EOF.
    stdin: BTreeMap<ChannelId, UnboundedSender<Bytes>>,
    /// The other ends, until a command takes them.
    waiting: BTreeMap<ChannelId, UnboundedReceiver<Bytes>>,
}

impl Visitor {
    fn knows(&self, user: &str, key: &PublicKey) -> bool {
        let authorized =
            self.access.authorized_keys.iter().filter_map(|line| PublicKey::from_openssh(line.trim()).ok());
        let is_known = authorized.into_iter().any(|known| known.key_data() == key.key_data());
        user == "root" && (is_known || self.world.lies("rescue-any-key"))
    }
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: server::PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(if self.knows(user, offer.public_key) { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(if self.knows(user, key.public_key) { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let fits = user == "root" && password == self.access.root_password;
        Ok(if fits { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let (feed, fed) = mpsc::unbounded_channel();
        self.stdin.insert(channel.id(), feed);
        self.waiting.insert(channel.id(), fed);
        reply.accept().await;
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _: &mut Session) -> Result<(), Self::Error> {
        let lost = usize::from(self.world.lies("rescue-input-loses-its-end"));
        let data = data.get(..data.len().saturating_sub(lost)).unwrap_or_default();
        if let Some(feed) = self.stdin.get(&channel) {
            // A command that reads no input lets it fall.
            let _ = feed.send(Bytes::copy_from_slice(data));
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.stdin.remove(&channel);
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.stdin.remove(&channel);
        self.waiting.remove(&channel);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(stdin) = self.waiting.remove(&channel) else { return session.channel_failure(channel) };
        session.channel_success(channel)?;
        let text = String::from_utf8_lossy(data).into_owned();
        let (said, hears) = mpsc::unbounded_channel();
        let mut shell = Shell::new(self.world.clone(), self.id, self.boot, stdin, said);
        let handle = session.handle();
        let (swallows, mixes) =
            (self.world.lies("rescue-status-swallowed"), self.world.lies("rescue-stderr-as-stdout"));
        let running = async move {
            let code = shell.run(&text).await;
            // The last sender goes with the shell, so that `relay` ends after the last word.
            drop(shell);
            code
        };
        self.world.spawn(async move {
            let (code, ()) = futures::join!(running, relay(&handle, channel, hears, mixes));
            let Some(code) = code else { return };
            let status = if swallows { 0 } else { u32::try_from(code).unwrap_or(255) };
            let _ = handle.exit_status_request(channel, status).await;
            let _ = handle.eof(channel).await;
            let _ = handle.close(channel).await;
        });
        Ok(())
    }
}

/// Passes on what a command says; `mixes` makes one stream of both.
async fn relay(handle: &Handle, channel: ChannelId, mut hears: UnboundedReceiver<Said>, mixes: bool) {
    /// SSH_EXTENDED_DATA_STDERR.
    const STDERR: u32 = 1;
    while let Some(said) = hears.recv().await {
        let passed = match said {
            Said::Out(bytes) => handle.data(channel, bytes).await,
            Said::Err(bytes) if mixes => handle.data(channel, bytes).await,
            Said::Err(bytes) => handle.extended_data(channel, STDERR, bytes).await,
        };
        if passed.is_err() {
            // The client has gone; the command goes on, unheard.
            hears.close();
        }
    }
}
