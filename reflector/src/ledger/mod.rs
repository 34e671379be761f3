//! The ledger. (Skeleton.)
