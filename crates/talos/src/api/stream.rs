use super::proto::common;
use super::{Asked, ClientError};
use bytes::Bytes;
use tonic::Streaming;

/// Bytes that a node sends piece by piece: logs, kernel messages, files.
#[derive(Debug)]
pub struct Chunks {
    asked: Asked,
    stream: Streaming<common::Data>,
}

impl Chunks {
    pub(super) fn new(asked: Asked, stream: Streaming<common::Data>) -> Self {
        Chunks { asked, stream }
    }

    /// The next piece; `None` at the end. Waits for ever where the stream follows.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let data = self.stream.message().await.map_err(|status| self.asked.refused(&status))?;
        match data {
            Some(common::Data { metadata: Some(metadata), .. }) if !metadata.error.is_empty() => {
                Err(self.asked.told(metadata.error))
            }
            Some(data) => Ok(Some(data.bytes.into())),
            None => Ok(None),
        }
    }

    /// All of it, cut off after `limit_bytes`.
    pub async fn collect(mut self, limit_bytes: usize) -> Result<Vec<u8>, ClientError> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            let room = limit_bytes.saturating_sub(all.len());
            all.extend(piece.iter().take(room));
            if room <= piece.len() {
                break;
            }
        }
        Ok(all)
    }
}
