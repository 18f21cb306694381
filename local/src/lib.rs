//! The whole system in one process: the embedded AWS services, the 3Rivers simulator, the
//! functions' own handlers and what stands around them in AWS.
//!
//! | module | stands for |
//! | --- | --- |
//! | [`embedded`] | DynamoDB, S3, SQS, behind their wire protocols |
//! | [`system`] | event source mappings, S3 notifications, the schedule, the API's listener |
//! | [`demo`] | a client with a program, sellers, customers and an API key |
//! | [`sample`] | a settlement file of theirs |
//!
//! It is for a laptop and for tests, never for money: one fixed access key opens it.

pub mod demo;
pub mod embedded;
mod private;
pub mod sample;
pub mod system;
