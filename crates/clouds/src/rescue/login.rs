use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use std::sync::Arc;
use wire::Rng;

/// An Ed25519 key pair for one login, gone with the run that drew it.
pub(crate) struct Login(Arc<PrivateKey>);

impl Login {
    /// The same draws give the same key.
    pub fn drawn(rng: &mut Rng) -> Self {
        Login(Arc::new(Ed25519Keypair::from_seed(&rng.bytes()).into()))
    }

    /// The public half in OpenSSH's format, without a comment; `None` never happens to an Ed25519 key.
    pub fn public(&self) -> Option<String> {
        self.0.public_key().to_openssh().ok()
    }

    pub(super) fn key(&self) -> Arc<PrivateKey> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_is_written_as_clouds_take_it() {
        let public = Login::drawn(&mut Rng::seeded(1)).public().unwrap();
        assert!(public.starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"), "{public}");
        assert_eq!(Login::drawn(&mut Rng::seeded(1)).public(), Some(public));
    }
}
