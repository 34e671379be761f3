//! kine: the datastore, `SQLite` behind etcd's API, as in k3s.

use super::component::{Component, Ready};
use super::layout::Layout;
use super::programs::Programs;

/// Where the API server finds it.
pub(super) fn endpoint(layout: &Layout) -> String {
    format!("unix://{}", layout.control("kine.sock").display())
}

/// Its command line.
pub(super) fn component(layout: &Layout, programs: &Programs) -> Component {
    let database = layout.control("state.db");
    // The parameters are k3s' own.
    let parameters = "_journal=WAL&cache=shared&_busy_timeout=30000&_txlock=immediate";
    Component::new("kine", programs.tool("kine"), Ready::Socket(layout.control("kine.sock")))
        .flag("listen-address", endpoint(layout))
        .flag("endpoint", format!("sqlite://{}?{parameters}", database.display()))
        .flag("metrics-bind-address", "0")
}
