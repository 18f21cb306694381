//! Settlement files: sent, listed.

use axum::routing::{get, post, put};
use http::Method;
use weir_query::{Files, Listed};

use super::{Answers, Operation, Side, Takes, change, list, one, read};
use weir_settlement::upload::{FILE_BODY, PARTS_BODY, PLACE_BODY};

use crate::auth::permission::{FilesRead, FilesWrite, Permitted, SettlementsWrite};
use crate::problems::PROBLEM;
use crate::{files, problems, settlements, uploads};

/// How the paths begin of what is asked of a place for an upload.
pub(super) const OF_A_PLACE: &str = "/v1/settlements/uploads/{file_id}/";

/// Every operation on settlements and files.
pub(super) fn operations<S: Side>() -> Vec<Operation> {
    vec![
        Operation {
            name: "Upload a settlement file",
            method: Method::POST,
            path: "/v1/settlements",
            permission: SettlementsWrite::PERMISSION,
            takes: Takes::SettlementFile,
            answers: Answers::One(Files::RESOURCE),
            route: change::<S>(&Method::POST, || post(settlements::create)),
        },
        Operation {
            name: "Reserve a place for a settlement file",
            method: Method::POST,
            path: "/v1/settlements/uploads",
            permission: SettlementsWrite::PERMISSION,
            takes: Takes::Body(&PLACE_BODY),
            answers: Answers::Place(Files::RESOURCE),
            route: change::<S>(&Method::POST, || post(uploads::reserve)),
        },
        Operation {
            name: "Ask where parts of a settlement file go",
            method: Method::POST,
            path: "/v1/settlements/uploads/{file_id}/parts",
            permission: SettlementsWrite::PERMISSION,
            takes: Takes::Body(&PARTS_BODY),
            answers: Answers::Parts(Files::RESOURCE),
            route: change::<S>(&Method::POST, || post(uploads::parts)),
        },
        Operation {
            name: "Complete the upload of a settlement file",
            method: Method::POST,
            path: "/v1/settlements/uploads/{file_id}/complete",
            permission: SettlementsWrite::PERMISSION,
            takes: Takes::Nothing,
            answers: Answers::One(Files::RESOURCE),
            route: change::<S>(&Method::POST, || post(uploads::complete)),
        },
        list::<S, Files, FilesRead>("Get file collection", "/v1/files"),
        one::<S, Files, FilesRead>("Get file", "/v1/files/{file_id}"),
        Operation {
            name: "Create file",
            method: Method::POST,
            path: "/v1/files",
            permission: FilesWrite::PERMISSION,
            takes: Takes::Body(&FILE_BODY),
            answers: Answers::One(Files::RESOURCE),
            route: change::<S>(&Method::POST, || post(files::create)),
        },
        Operation {
            name: "Update file",
            method: Method::PUT,
            path: "/v1/files/{file_id}",
            permission: FilesWrite::PERMISSION,
            takes: Takes::Body(&FILE_BODY),
            answers: Answers::One(Files::RESOURCE),
            route: change::<S>(&Method::PUT, || put(files::rename)),
        },
        Operation {
            name: "Get file problem collection",
            method: Method::GET,
            path: "/v1/files/{file_id}/problems",
            permission: FilesRead::PERMISSION,
            takes: Takes::Problems,
            answers: Answers::Problems(&PROBLEM),
            route: read::<S>(|| get(problems::list)),
        },
    ]
}
