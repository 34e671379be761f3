//! Sessions. (Skeleton: the room that owns this fills it.)

/// What an engine holds while it runs. (Skeleton.)
#[derive(Debug)]
pub struct SessionControl {}
