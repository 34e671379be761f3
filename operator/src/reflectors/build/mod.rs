//! The children of a Reflector, from a plan. Pure: the same plan gives the same objects, byte for byte.

mod account;
mod claim;
mod config;
mod container;
mod deployment;
pub(crate) mod labels;
pub(super) mod names;
mod service;
#[cfg(test)]
mod tests;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use super::children::Desired;
use super::validate::{Plan, Storage};
use crate::settings::Settings;
use crate::writing::{is_sealed_alike, seal};

/// Everything there should be. `claim` is the claim there is: a bound one cannot be described anew.
pub(super) fn build(
    plan: &Plan,
    claim: Option<&PersistentVolumeClaim>,
    settings: &Settings,
) -> Result<Desired, serde_json::Error> {
    let config = config::build(plan);
    let claim = match &plan.storage {
        Storage::Existing(_) => None,
        Storage::Ours { size, class, retain } => {
            let new = seal(claim::build(plan, size, class.as_deref(), *retain, None))?;
            Some(match claim {
                Some(existing) if !is_sealed_alike(&new, existing) => {
                    seal(claim::build(plan, size, class.as_deref(), *retain, Some(existing)))?
                }
                _ => new,
            })
        }
    };
    let service = if plan.network.on_host { None } else { Some(seal(service::build(plan))?) };
    Ok(Desired {
        account: seal(account::account(plan))?,
        binding: seal(account::binding(plan, settings))?,
        deployment: seal(deployment::build(plan, &config))?,
        config: seal(config)?,
        claim,
        service,
    })
}
