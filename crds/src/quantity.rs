//! Durations and quantities as people type them. (Skeleton.)
