//! A shell on a machine's rescue system, over SSH.
//!
//! ```text
//! Login  = key pair of this run                     its public half goes to the cloud, which lets it in
//! Rescue = a session on one machine                 runs commands, one after the other
//! ```
//!
//! The host key cannot be known: the rescue system makes one at each boot, and no cloud's API tells it. So any is
//! taken, which is why nothing secret ever goes over such a session: an image that somebody in between has changed
//! still holds no key of the cluster, and nodes get theirs by another way.

mod login;
#[cfg(test)]
pub(crate) mod sshd;

pub(crate) use login::Login;

use russh::client::{self, Handle};
use russh::keys::{Algorithm, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{ChannelMsg, Preferred};
use std::sync::Arc;
use std::time::Duration;
use wire::{SharedWire, Target, Time};

/// How long a handshake and the login may take together. A machine that is still booting drops packets.
const CONNECT: Duration = Duration::from_secs(15);
/// A session that says nothing for so long is asked whether it is still there; three times, then it is dead.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A session on a rescue system, as root.
pub(crate) struct Rescue {
    session: Handle<AnyHost>,
}

/// Why there is no session, or no end of a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// Nothing listens there (yet).
    #[error("{0}")]
    Unreachable(#[from] wire::Error),
    /// It did not answer in time.
    #[error("SSH on {0} did not answer in time")]
    Late(String),
    /// The key is not let in: another system answers, or the rescue system was made ready for another key.
    #[error("SSH on {0} does not let the key in")]
    TurnedAway(String),
    /// The session broke.
    #[error("SSH broke: {0}")]
    Broken(#[from] russh::Error),
    /// The command ended without an exit status: killed, or the machine went down.
    #[error("the command ended without a status")]
    NoStatus,
}

struct AnyHost;

impl client::Handler for AnyHost {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// Host keys of the types that can be verified. RSA is not built in, for RUSTSEC-2023-0071; rescue systems make a key of every
/// type at each boot.
fn verifiable() -> Preferred {
    let types = Preferred::DEFAULT.key.iter().filter(|kind| !matches!(kind, Algorithm::Rsa { .. })).cloned();
    Preferred { key: types.collect(), ..Preferred::DEFAULT }
}

impl Rescue {
    /// Logs in as root.
    pub async fn connect(wire: &SharedWire, time: &Time, target: &Target, login: &Login) -> Result<Self, Failed> {
        let handshake = async {
            let stream = wire.open(target).await?;
            let config = client::Config {
                keepalive_interval: Some(KEEPALIVE),
                preferred: verifiable(),
                ..client::Config::default()
            };
            let mut session = client::connect_stream(Arc::new(config), stream, AnyHost).await?;
            let key = PrivateKeyWithHashAlg::new(login.key(), None);
            if session.authenticate_publickey("root", key).await?.success() {
                Ok(Rescue { session })
            } else {
                Err(Failed::TurnedAway(target.authority()))
            }
        };
        time.within(CONNECT, handshake).await.map_err(|_| Failed::Late(target.authority()))?
    }

    /// Runs a command in root's shell and returns its exit status. `on_line` gets what it writes to its standard
    /// error, by lines; a carriage return ends one too, as progress meters write them.
    pub async fn run(&self, command: &str, on_line: &mut (dyn FnMut(&str) + Send)) -> Result<u32, Failed> {
        let mut channel = self.session.channel_open_session().await?;
        channel.exec(true, command).await?;
        let (mut status, mut partial) = (None, Vec::new());
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::ExtendedData { data, .. } => feed(&mut partial, &data, on_line),
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                _ => {}
            }
        }
        feed(&mut partial, b"\n", on_line);
        status.ok_or(Failed::NoStatus)
    }
}

/// The longest line that is kept: a program that never ends one must not fill the memory.
const LINE_BYTES_MAX: usize = 4096;

fn feed(partial: &mut Vec<u8>, data: &[u8], on_line: &mut (dyn FnMut(&str) + Send)) {
    for byte in data {
        match byte {
            b'\n' | b'\r' if partial.is_empty() => {}
            b'\n' | b'\r' => on_line(&String::from_utf8_lossy(&std::mem::take(partial))),
            _ if partial.len() < LINE_BYTES_MAX => partial.push(*byte),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted;
    use wire::Rng;

    fn target() -> Target {
        Target::plain("203.0.113.9", 22)
    }

    async fn session(login: &Login, shell: sshd::Shell) -> Result<Rescue, Failed> {
        let wire = scripted::ssh_only(sshd::Sshd { authorized: login.public().unwrap(), shell });
        let time = Time::starting_at(jiff::Timestamp::UNIX_EPOCH, Rng::seeded(1));
        Rescue::connect(&wire, &time, &target(), login).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_ends_with_its_status_and_its_words() {
        let login = Login::drawn(&mut Rng::seeded(1));
        let rescue = session(&login, |command| (command.len().try_into().unwrap(), "one\rtwo\n\nthree")).await.unwrap();
        let mut lines = Vec::new();
        let status = rescue.run("true", &mut |line: &str| lines.push(line.to_owned())).await.unwrap();
        assert_eq!((status, lines.as_slice()), (4, ["one", "two", "three"].map(str::to_owned).as_slice()));
        assert_eq!(rescue.run("false", &mut |_: &str| {}).await.unwrap(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn another_key_is_turned_away() {
        let wire = scripted::ssh_only(sshd::Sshd {
            authorized: Login::drawn(&mut Rng::seeded(2)).public().unwrap(),
            shell: |_| (0, ""),
        });
        let time = Time::starting_at(jiff::Timestamp::UNIX_EPOCH, Rng::seeded(1));
        let login = Login::drawn(&mut Rng::seeded(1));
        let refused = Rescue::connect(&wire, &time, &target(), &login).await.err();
        assert!(matches!(refused, Some(Failed::TurnedAway(_))), "{refused:?}");
    }

    #[test]
    fn a_line_without_an_end_does_not_fill_the_memory() {
        let (mut partial, mut seen) = (Vec::new(), 0);
        feed(&mut partial, &[b'x'; 3 * LINE_BYTES_MAX], &mut |_: &str| {});
        feed(&mut partial, b"\n", &mut |line: &str| seen = line.len());
        assert_eq!(seen, LINE_BYTES_MAX);
    }
}
