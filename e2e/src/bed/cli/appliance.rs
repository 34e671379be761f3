//! `cargo bed appliance`.

use std::path::Path;

use anyhow::Result;
use clap::Subcommand;

use crate::bed::running::Bed;

/// What is done with appliances.
#[derive(Subcommand)]
pub(super) enum Appliance {
    /// Add one.
    Add { name: String },
    /// Remove one, and end what runs in it.
    Remove { name: String },
    /// Their names and addresses.
    List,
}

/// Does it, and says it.
pub(super) async fn perform(folder: &Path, what: &Appliance) -> Result<()> {
    let mut bed = Bed::in_folder(folder)?;
    match what {
        Appliance::Add { name } => {
            let member = bed.add_appliance(name).await?;
            anstream::println!(
                "{name} is {}. Run something there: cargo bed exec {name} COMMAND",
                member.address
            );
        }
        Appliance::Remove { name } => {
            bed.remove_appliance(name).await?;
            anstream::println!("{name} is gone.");
        }
        Appliance::List => {
            let members = bed.state().members(bed.layout());
            for member in members.iter().filter(|member| member.pods.is_none()) {
                anstream::println!("{:<24} {}", member.name, member.address);
            }
        }
    }
    Ok(())
}
