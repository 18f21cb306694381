//! Reference data and API keys out of a file that people write and keep.
//!
//! A file is YAML or JSON with lists of [`SECTIONS`]; what stands in one is told by [`Seed`]. It is read
//! whole before anything is asked ([`Seed::parse`]), then compared with what is kept ([`Seeder::plan`]),
//! then applied ([`Seeder::apply`]). Invariants:
//!
//! - A file that has a problem changes nothing, and every problem is told with its line.
//! - What is missing is created, what is the same is not written, and what differs is changed only under
//!   [`Policy::Update`]. Nothing is deleted, and nothing moves to another client, program or seller.
//! - Every write takes effect only over what the plan has read: somebody else's change in between is
//!   never lost. It is as new as the clock, so messages and requests that are older change nothing.
//! - Wherever applying stops, doing it all again ends the same. The order in the file means nothing.
//! - A key's secret is in no file: it is made when the key is, and given out then. A key that there is
//!   stays as it is.

mod apply;
mod compare;
mod entry;
mod file;
mod json;
mod node;
mod plan;
mod yaml;

pub use apply::{Applied, ApplyError, MadeKey, Policy};
pub use compare::Difference;
pub use file::{FILE_BYTES_MAX, Format, SECTIONS, Seed, SeedKey};
pub use node::Problem;
pub use plan::{KeyStep, Plan, Progress, Seeder, State, Step};
