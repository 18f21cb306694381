//! Settlement files: sent, listed.

use axum::routing::{get, post};
use http::Method;
use weir_query::{Files, Listed};

use super::{Answers, Operation, Takes, list, one};
use crate::auth::permission::{FilesRead, Permitted, SettlementsWrite};
use crate::problems::PROBLEM;
use crate::{problems, settlements};

/// Every operation on settlements and files.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation {
            name: "Upload a settlement file",
            method: Method::POST,
            path: "/v1/settlements",
            permission: SettlementsWrite::PERMISSION,
            takes: Takes::SettlementFile,
            answers: Answers::One(Files::RESOURCE),
            route: post(settlements::create),
        },
        list::<Files, FilesRead>("Get file collection", "/v1/files"),
        one::<Files, FilesRead>("Get file", "/v1/files/{file_id}"),
        Operation {
            name: "Get file problem collection",
            method: Method::GET,
            path: "/v1/files/{file_id}/problems",
            permission: FilesRead::PERMISSION,
            takes: Takes::Problems,
            answers: Answers::Problems(&PROBLEM),
            route: get(problems::list),
        },
    ]
}
