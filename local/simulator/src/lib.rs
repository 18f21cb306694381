//! 3Rivers on the loopback: it answers charges, refunds and buyers as the platform is known to, and
//! takes faults on demand.
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /api/v2/charges`, `/refunds` | 201 with the request repeated and what the platform adds |
//! | `GET /api/v2/charges/{id}`, `/refunds/{id}`, `/buyers/{id}` | 200 with the resource, or 404 |
//! | `GET /api/v2/charges`, `/refunds?charge_id=` | an array; `page_size` (1–1000, 100), `page_number` (from 1) |
//! | `GET`, `PUT /_sim/faults` | the [`Faults`]; a `PUT` replaces all of them |
//! | `GET`, `PUT /_sim/rules` | the [`Rules`]; a `PUT` replaces all of them |
//! | `GET /_sim/summary` | the [`Summary`] |
//! | `POST /_sim/reset` | forgets everything that was made, faults and rules stay; the new summary |
//!
//! **Who asks.** `Authorization: Bearer KEY`; without a key, or with one that is not accepted, 401. An
//! API key is an account: a charge is seen, and refunded, by the key that made it alone.
//!
//! **Idempotency keys.** A create needs `Idempotency-Key` (1–255 visible characters), else 400. The same
//! key with the same body gives the first answer again, status and body, be it a refusal; with another
//! body, or at the other collection, 409. Requests with one key at the same time wait for each other:
//! one is judged, the others get its answer. A key is kept for ever and for all accounts, so that a
//! caller with new credentials cannot charge again. Answers that a fault made up are not kept.
//!
//! **Refusals** have the platform's form. What is not of the documented shape is 400
//! `request.malformed`; totals that do not fit, an unknown or suspended buyer, a refund above what is
//! left of its charge are 422; an unknown charge is 404. Codes other than
//! `authorization.unauthenticated_not_allowed` are the simulator's own words.
//!
//! **State** is in memory, and in an append-only file where one is given: a charge is in the file before
//! its answer is sent, so a killed process forgets none. The same seed gives the same ids, the same
//! faults to the same keys, whatever the order of requests.
//!
//! Refused is any address that is not on the loopback.

mod books;
mod check;
mod faults;
mod handler;
mod journal;
mod ledger;
mod reply;
mod rules;
mod server;

pub use faults::{Faults, FaultsError, Latency, Rate, RateError};
pub use journal::JournalError;
pub use ledger::Summary;
pub use rules::{BuyerRule, Rules};
pub use server::{Running, Simulator, SimulatorError, SimulatorOptions};
