use super::Oci;
use super::api::{Ask, Service};
use crate::Error;
use wire::Line;

impl Oci {
    /// The tenancy's object storage namespace.
    pub(super) async fn namespace(&self, line: &Line, region: &str) -> Result<String, Error> {
        let ask = Ask::<String>::get("oci GET /n", Service::ObjectStorage, "/n".to_owned());
        self.send(line, region, &ask).await
    }
}
