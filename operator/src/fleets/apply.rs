//! Performs what was decided. What fails stops nobody else's turn, unless nobody is there to answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use crds::Reflector;
use kube::ResourceExt as _;
use serde_json::json;

use super::decide::Step;
use super::{Fleets, member};
use crate::clock;
use crate::metrics::Kind;
use crate::writing;

/// A step that was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Write(#[from] writing::Error),
    #[error("compare a member with what it should be")]
    Compare(#[from] serde_json::Error),
}

impl Error {
    pub(super) fn words(&self) -> String {
        match self {
            Self::Write(error) => error.words(),
            Self::Compare(error) => format!("{self}: {error}"),
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) wrote: bool,
    /// Members that are still not there.
    pub(super) not_made: BTreeSet<String>,
    /// The first thing that went wrong.
    pub(super) error: Option<Error>,
}

/// One step after the other.
pub(super) async fn apply(context: &Fleets, steps: &[Step]) -> Applied {
    let mut applied = Applied::default();
    let mut nobody_answers = false;
    for step in steps {
        let done = if nobody_answers { None } else { Some(Box::pin(perform(context, step)).await) };
        match done {
            Some(Ok(())) => applied.wrote = true,
            refused => {
                if let Step::Make(desired) = step {
                    applied.not_made.insert(desired.name_any());
                }
                if let Some(Err(error)) = refused {
                    nobody_answers = !matches!(&error, Error::Write(writing::Error::Failed { .. }));
                    applied.error.get_or_insert(error);
                }
            }
        }
    }
    applied
}

async fn perform(context: &Fleets, step: &Step) -> Result<(), Error> {
    let writer = &context.shared.writer;
    match step {
        Step::Make(desired) => {
            let made = writer.apply(Kind::Reflector, (**desired).clone(), None).await?;
            context.members.wrote(None, Arc::new(made), clock::now());
        }
        Step::Change { there, desired } => {
            let changed = writer.apply(Kind::Reflector, (**desired).clone(), Some(&**there)).await?;
            let changed = wrote(context, there, changed);
            if let Some(surplus) = member::surplus(desired, &changed)? {
                let patch = json!({ "spec": surplus });
                let rest = writer.take_out(Kind::Reflector, &*changed, patch).await?;
                wrote(context, &changed, rest);
            }
        }
        Step::Remove(there) => writer.delete(Kind::Reflector, &**there).await?,
    }
    Ok(())
}

fn wrote(context: &Fleets, before: &Reflector, answer: Reflector) -> Arc<Reflector> {
    let answer = Arc::new(answer);
    context.members.wrote(before.resource_version(), answer.clone(), clock::now());
    answer
}
