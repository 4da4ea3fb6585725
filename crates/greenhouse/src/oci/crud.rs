//! The calls that are the same for all resources: create once for each retry token, show, change, delete, list.

use super::State;
use super::call::{Call, Site};
use super::reply::{Answer, Refusal, document, nothing, with_etag};
use super::resource::{Lifecycle, Resource, shown, summary};
use crate::world::State as Everything;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

/// How long a retry token is remembered.
const RETRY_TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// Whether a create call made something or found what its retry token had made before.
pub(super) enum Created {
    New(String),
    Again(String),
}

impl Created {
    pub(super) fn id(&self) -> &str {
        match self {
            Created::New(id) | Created::Again(id) => id,
        }
    }
}

/// What a retry token stands for.
pub(super) struct Retry {
    id: String,
    body: [u8; 32],
    at: Timestamp,
}

impl Call {
    /// Makes a resource, once for each retry token.
    pub(super) fn create<R: Resource>(
        &self,
        make: impl FnOnce(&mut Everything) -> Result<R, Refusal>,
    ) -> Result<Created, Refusal> {
        let body: [u8; 32] = Sha256::digest(&self.body).into();
        let token = self.header("opc-retry-token").map(|token| format!("{} {token}", self.head.uri.path()));
        let token = token.filter(|_| !self.lies("oci-retry-token-ignored"));
        self.site.world.with(|state| {
            let now = state.now();
            let known = token.as_ref().and_then(|token| state.oci.retries.get(token));
            if let Some(known) = known.filter(|known| now.duration_since(known.at) < RETRY_TOKEN_LIFE) {
                let still = R::shelf(&state.oci).get(&known.id).is_some_and(|resource| {
                    !matches!(resource.common().lifecycle, Lifecycle::Terminating | Lifecycle::Terminated)
                });
                return if still && known.body == body { Ok(Created::Again(known.id.clone())) } else { Err(spent()) };
            }
            let mut resource = make(state)?;
            if self.lies("oci-tags-lost") {
                resource.common_mut().freeform.clear();
            }
            let id = resource.common().id.clone();
            R::shelf_mut(&mut state.oci).insert(id.clone(), resource);
            if let Some(token) = token {
                state.oci.retries.insert(token, Retry { id: id.clone(), body, at: now });
            }
            Ok(Created::New(id))
        })
    }

    /// The resource with its etag, or 404.
    pub(super) fn show<R: Resource>(&self, id: &str) -> Answer {
        self.site.world.with(|state| {
            let resource = self.site.find::<R>(&state.oci, id)?;
            Ok(respond(resource, &state.oci))
        })
    }

    /// Changes a resource under `if-match`; answers with the whole of it.
    pub(super) fn change<R: Resource>(
        &self,
        id: &str,
        change: impl FnOnce(&mut Everything) -> Result<(), Refusal>,
    ) -> Answer {
        self.site.world.with(|state| {
            let resource = self.site.find::<R>(&state.oci, id)?;
            self.check_match(&resource.common().etag())?;
            let before = resource.common().freeform.clone();
            change(state)?;
            if self.lies("oci-tags-merged") {
                let common = self.site.find_mut::<R>(&mut state.oci, id)?.common_mut();
                common.freeform = before.into_iter().chain(std::mem::take(&mut common.freeform)).collect();
            }
            Ok(respond(self.site.find::<R>(&state.oci, id)?, &state.oci))
        })
    }

    /// Deletes at once a resource that nothing stands in the way of.
    pub(super) fn delete<R: Resource>(
        &self,
        id: &str,
        check: impl FnOnce(&R, &State) -> Result<(), Refusal>,
    ) -> Answer {
        self.site.world.with(|state| {
            let resource = self.site.find::<R>(&state.oci, id)?;
            self.check_match(&resource.common().etag())?;
            check(resource, &state.oci)?;
            R::shelf_mut(&mut state.oci).remove(id);
            Ok(nothing())
        })
    }

    /// Lists the resources of a compartment in this region, the newest first unless asked otherwise.
    pub(super) fn list<R: Resource>(&self, keep: impl Fn(&R) -> bool) -> Answer {
        let compartment = self.required("compartmentId")?;
        let (name, lifecycle) = (self.query("displayName"), self.query("lifecycleState"));
        let by_name = self.query("sortBy") == Some("DISPLAYNAME");
        let ascending = self.query("sortOrder").map_or(by_name, |order| order.eq_ignore_ascii_case("asc"));
        let all = self.site.world.with(|state| {
            if !state.oci.has_compartment(compartment) {
                return Err(Refusal::not_found());
            }
            let mut found: Vec<&R> = R::shelf(&state.oci)
                .values()
                .filter(|resource| {
                    let common = resource.common();
                    (common.compartment == compartment || common.compartment.is_empty())
                        && self.site.holds(&common.id)
                        && name.is_none_or(|name| name == common.name)
                        && lifecycle.is_none_or(|word| word == common.lifecycle.word())
                        && keep(resource)
                })
                .collect();
            found.sort_by_key(|resource| resource.common().order);
            if by_name {
                found.sort_by(|one, other| one.common().name.cmp(&other.common().name));
            }
            if !ascending {
                found.reverse();
            }
            Ok(found.into_iter().map(|resource| summary(resource, &state.oci)).collect())
        });
        self.page(all?)
    }
}

fn spent() -> Refusal {
    let message = "The provided retry token was used in an earlier request that resulted in a system update, but a \
                   subsequent operation invalidated the token.";
    Refusal::new(http::StatusCode::CONFLICT, "InvalidatedRetryToken", message)
}

fn respond<R: Resource>(resource: &R, state: &State) -> Response {
    with_etag(document(&shown(resource, state)), &resource.common().etag())
}

impl Site {
    /// Whether this OCID belongs to this region.
    pub(super) fn holds(&self, id: &str) -> bool {
        id.split('.').nth(3) == Some(self.region.name)
    }

    /// A resource of this region, or 404.
    pub(super) fn find<'a, R: Resource>(&self, state: &'a State, id: &str) -> Result<&'a R, Refusal> {
        R::shelf(state).get(id).filter(|_| self.holds(id)).ok_or_else(Refusal::not_found)
    }

    /// A resource of this region to change, or 404.
    pub(super) fn find_mut<'a, R: Resource>(&self, state: &'a mut State, id: &str) -> Result<&'a mut R, Refusal> {
        R::shelf_mut(state).get_mut(id).filter(|_| self.holds(id)).ok_or_else(Refusal::not_found)
    }

    /// Lets a resource go from one state to another by itself after a while in milliseconds. Nothing happens if it
    /// is no longer in the first state by then. What arrives at TERMINATED disappears.
    pub(super) fn settle<R: Resource>(&self, id: &str, from: Lifecycle, to: Lifecycle, (low_ms, high_ms): (u64, u64)) {
        let (world, id) = (self.world.clone(), id.to_owned());
        self.world.spawn(async move {
            let name = world.with(|state| R::shelf(&state.oci).get(&id).map(|resource| resource.common().name.clone()));
            let label = format!("oci {} {} {}", R::KIND, name.unwrap_or_default(), to.word());
            world.delay_between(&label, low_ms, high_ms).await;
            world.with(|state| {
                let all = R::shelf_mut(&mut state.oci);
                let Some(common) = all.get_mut(&id).map(R::common_mut).filter(|common| common.lifecycle == from) else {
                    return;
                };
                common.enter(to);
                if to == Lifecycle::Terminated {
                    all.remove(&id);
                }
            });
        });
    }
}
