//! What every function starts with.
