use super::mark::{KINDS, OCI};
use super::{Oci, image, offers, wanted};
use crate::{Cloud, Error, Finding, Found, Given, Image, ImageOrder, Money, Need, Offer, Power, Progress, Wanted};
use async_trait::async_trait;
use spec::CloudPlace;
use wire::Line;

#[async_trait]
impl Cloud for Oci {
    fn name(&self) -> &'static str {
        OCI
    }

    fn platform(&self) -> &'static str {
        "oracle"
    }

    fn images_have_regions(&self) -> bool {
        true
    }

    fn kinds(&self) -> &'static [&'static str] {
        &KINDS
    }

    fn wanted(&self, need: &Need) -> Vec<Wanted> {
        wanted::wanted(need)
    }

    async fn find(&self, line: &Line, cluster: &str, kinds: &[&str]) -> Result<Vec<Found>, Error> {
        self.find_everywhere(line, cluster, kinds).await
    }

    async fn offers(&self, line: &Line, places: &[CloudPlace]) -> Result<Vec<Offer>, Error> {
        self.offers_of(line, places).await
    }

    async fn check(&self, line: &Line, need: &Need) -> Vec<Finding> {
        self.findings(line, need).await
    }

    async fn create(&self, line: &Line, wanted: &Wanted, given: &Given) -> Result<Found, Error> {
        self.create_one(line, wanted, given).await
    }

    async fn update(&self, line: &Line, found: &Found, wanted: &Wanted, given: &Given) -> Result<Found, Error> {
        self.update_one(line, found, wanted, given).await
    }

    async fn delete(&self, line: &Line, found: &Found) -> Result<(), Error> {
        self.delete_one(line, found).await
    }

    fn allowance(&self, taken: &[&Offer]) -> Option<(&'static str, Money)> {
        offers::always_free(taken).map(|money| ("Always Free", money))
    }

    async fn mark(&self, line: &Line, found: &Found, label: &str, value: Option<&str>) -> Result<(), Error> {
        self.mark_one(line, found, label, value).await
    }

    async fn power(&self, line: &Line, found: &Found, power: Power) -> Result<(), Error> {
        self.switch(line, found, power).await
    }

    async fn diagnose(&self, line: &Line, found: &Found) -> Result<String, Error> {
        self.diagnosis(line, found).await
    }

    fn shows_console(&self) -> bool {
        true
    }

    async fn make_image(&self, line: &Line, order: &ImageOrder, progress: &dyn Progress) -> Result<Found, Error> {
        self.image(line, order, progress).await
    }

    fn image_of(&self, found: &Found) -> Option<Image> {
        image::image_of(found)
    }
}
