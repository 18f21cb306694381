//! Which half of the API a router answers.
//!
//! The routes are made for a side, which is known when they are compiled: what the other side does is then in
//! nobody's way. A function that only reads holds no code that changes anything, and is so much smaller.

/// A half of the API, or all of it.
pub(crate) trait Side {
    /// Whether what only reads is answered.
    const READS: bool;
    /// Whether what changes something is answered.
    const CHANGES: bool;
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Both;

impl Side for Both {
    const READS: bool = true;
    const CHANGES: bool = true;
}

/// What only reads.
#[derive(Debug)]
pub(crate) struct Reads;

impl Side for Reads {
    const READS: bool = true;
    const CHANGES: bool = false;
}

/// What changes something.
#[derive(Debug)]
pub(crate) struct Changes;

impl Side for Changes {
    const READS: bool = false;
    const CHANGES: bool = true;
}

/// None of it: the operations are only told of.
#[derive(Debug)]
pub(crate) struct Told;

impl Side for Told {
    const READS: bool = false;
    const CHANGES: bool = false;
}
