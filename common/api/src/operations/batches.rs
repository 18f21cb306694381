//! Batches, their details, what these went through.

use axum::routing::{get, post};
use http::Method;
use weir_domain::BatchAction;
use weir_query::{AskedOf, Batches, Details, History, Listed, Logs};
use weir_settlement::actions::{ACTION_BODY, DETAIL_BODY, RETRY_BODY, STATUS_BODY};

use super::{Answers, Operation, Takes, list, one};
use crate::auth::permission::{BatchesRead, BatchesWrite, Permitted};
use crate::{actions, mending};

/// Every operation on batches and details.
pub(super) fn operations() -> Vec<Operation> {
    let mut operations = reads();
    operations.extend(asked());
    operations.push(errors());
    operations.push(mended());
    operations.extend(actions());
    operations
}

fn actions() -> Vec<Operation> {
    let act = |name, path, body, route| Operation {
        name,
        method: Method::POST,
        path,
        permission: BatchesWrite::PERMISSION,
        takes: Takes::Body(body),
        answers: Answers::One(Batches::RESOURCE),
        route,
    };
    let put = |name, path, body, resource, route| Operation {
        name,
        method: Method::PUT,
        path,
        permission: BatchesWrite::PERMISSION,
        takes: Takes::Body(body),
        answers: Answers::One(resource),
        route,
    };
    vec![
        act(
            "Cancel Batch",
            "/v1/files/{file_id}/batches/{batch_id}/cancel",
            &ACTION_BODY,
            actions::route(BatchAction::Cancel),
        ),
        act(
            "Retry Batch",
            "/v1/files/{file_id}/batches/{batch_id}/retry",
            &RETRY_BODY,
            actions::route(BatchAction::Retry),
        ),
        act(
            "Confirm Batch Drafts",
            "/v1/files/{file_id}/batches/{batch_id}/confirm-drafts",
            &ACTION_BODY,
            actions::route(BatchAction::ConfirmDrafts),
        ),
        act(
            "Cancel Batch Drafts",
            "/v1/files/{file_id}/batches/{batch_id}/cancel-drafts",
            &ACTION_BODY,
            actions::route(BatchAction::CancelDrafts),
        ),
        put(
            "Update file batch",
            "/v1/files/{file_id}/batches/{batch_id}",
            &STATUS_BODY,
            Batches::RESOURCE,
            axum::routing::put(actions::put_batch),
        ),
        put(
            "Update file batch detail",
            "/v1/files/{file_id}/batches/{batch_id}/details/{batch_detail_id}",
            &DETAIL_BODY,
            Details::RESOURCE,
            axum::routing::put(actions::put_detail),
        ),
    ]
}

fn reads() -> Vec<Operation> {
    vec![
        list::<Batches, BatchesRead>("Get batch collection", "/v1/batches"),
        one::<Batches, BatchesRead>("Get batch", "/v1/batches/{batch_id}"),
        list::<Details, BatchesRead>("Get batch detail collection", "/v1/batchdetails"),
        one::<Details, BatchesRead>("Get batch detail", "/v1/batchdetails/{batch_detail_id}"),
        list::<History, BatchesRead>(
            "Get batch detail history collection",
            "/v1/batchdetailhistory",
        ),
        one::<History, BatchesRead>(
            "Get batch detail history",
            "/v1/batchdetailhistory/{batch_detail_history_id}",
        ),
        list::<Logs, BatchesRead>("Get batch detail log collection", "/v1/batchdetaillogs"),
        one::<Logs, BatchesRead>(
            "Get batch detail log",
            "/v1/batchdetaillogs/{batch_detail_log_id}",
        ),
        list::<Batches, BatchesRead>("Get file batch collection", "/v1/files/{file_id}/batches"),
        one::<Batches, BatchesRead>("Get file batch", "/v1/files/{file_id}/batches/{batch_id}"),
        list::<Details, BatchesRead>(
            "Get file batch detail collection",
            "/v1/files/{file_id}/batches/{batch_id}/batchdetails",
        ),
        one::<Details, BatchesRead>(
            "Get file batch detail",
            "/v1/files/{file_id}/batches/{batch_id}/details/{batch_detail_id}",
        ),
        list::<History, BatchesRead>(
            "Get file batch detail history collection",
            "/v1/files/{file_id}/batches/{batch_id}/details/{batch_detail_id}/history",
        ),
        one::<History, BatchesRead>(
            "Get file batch detail history",
            "/v1/files/{file_id}/batches/{batch_id}/details/{batch_detail_id}/history/\
             {batch_detail_history_id}",
        ),
        list::<Logs, BatchesRead>(
            "Get file batch detail log collection",
            "/v1/files/{file_id}/batches/{batch_id}/details/{batch_detail_id}/logs",
        ),
        one::<Logs, BatchesRead>(
            "Get file batch detail log",
            "/v1/files/{file_id}/batches/{batch_id}/details/{batch_detail_id}/logs/\
             {batch_detail_log_id}",
        ),
    ]
}

/// What people asked of a file and its batches.
fn asked() -> [Operation; 2] {
    [
        list::<AskedOf, BatchesRead>("Get file action collection", "/v1/files/{file_id}/actions"),
        list::<AskedOf, BatchesRead>(
            "Get file batch action collection",
            "/v1/files/{file_id}/batches/{batch_id}/actions",
        ),
    ]
}

fn errors() -> Operation {
    Operation {
        name: "Download file batch with errors CSV",
        method: Method::GET,
        path: "/v1/files/{file_id}/batches/{batch_id}/errors",
        permission: BatchesRead::PERMISSION,
        takes: Takes::Lines,
        answers: Answers::Csv(Details::RESOURCE),
        route: get(mending::download),
    }
}

fn mended() -> Operation {
    Operation {
        name: "Update file batch with errors CSV",
        method: Method::POST,
        permission: BatchesWrite::PERMISSION,
        takes: Takes::ErrorsTable,
        answers: Answers::Drafted(Details::RESOURCE),
        route: post(mending::upload),
        ..errors()
    }
}
