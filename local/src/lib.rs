//! The whole system in one process: the embedded AWS services, the 3Rivers simulator, the
//! functions' own handlers and what stands around them in AWS.
//!
//! | module | stands for |
//! | --- | --- |
//! | [`embedded`] | DynamoDB, S3, SQS, behind their wire protocols |
//! | [`system`] | event source mappings, S3 notifications, the schedule, the gateway |
//! | [`demo`] | a client with a program, sellers, customers and an API key |
//! | [`sample`] | a settlement file of theirs |
//!
//! It is for a laptop and for tests, never for money: one fixed access key opens it.

pub mod demo;
pub mod embedded;
pub mod sample;
pub mod system;
