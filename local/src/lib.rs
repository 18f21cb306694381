//! The whole system in one process: the embedded AWS services, and (in time) everything around them.

pub mod embedded;
