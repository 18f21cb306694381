//! Batches, their details, what these went through.

use axum::routing::{get, post, put as put_route};
use http::Method;
use weir_domain::BatchAction;
use weir_query::{AskedOf, Batches, Details, History, Listed, Logs};
use weir_settlement::actions::{ACTION_BODY, DETAIL_BODY, RETRY_BODY, STATUS_BODY};

use super::{Answers, Operation, Side, Takes, change, list, one, read};
use crate::auth::permission::{BatchesRead, BatchesWrite, Permitted};
use crate::{actions, mending};

/// Every operation on batches and details.
pub(super) fn operations<S: Side>() -> Vec<Operation> {
    let mut operations = reads::<S>();
    operations.extend(asked::<S>());
    operations.push(errors::<S>());
    operations.push(mended::<S>());
    operations.extend(actions::<S>());
    operations
}

fn actions<S: Side>() -> Vec<Operation> {
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
            change::<S>(&Method::POST, || actions::route(BatchAction::Cancel)),
        ),
        act(
            "Retry Batch",
            "/v1/files/{file_id}/batches/{batch_id}/retry",
            &RETRY_BODY,
            change::<S>(&Method::POST, || actions::route(BatchAction::Retry)),
        ),
        act(
            "Confirm Batch Drafts",
            "/v1/files/{file_id}/batches/{batch_id}/confirm-drafts",
            &ACTION_BODY,
            change::<S>(&Method::POST, || actions::route(BatchAction::ConfirmDrafts)),
        ),
        act(
            "Cancel Batch Drafts",
            "/v1/files/{file_id}/batches/{batch_id}/cancel-drafts",
            &ACTION_BODY,
            change::<S>(&Method::POST, || actions::route(BatchAction::CancelDrafts)),
        ),
        put(
            "Update file batch",
            "/v1/files/{file_id}/batches/{batch_id}",
            &STATUS_BODY,
            Batches::RESOURCE,
            change::<S>(&Method::PUT, || put_route(actions::put_batch)),
        ),
        put(
            "Update file batch detail",
            "/v1/files/{file_id}/batches/{batch_id}/details/{batch_detail_id}",
            &DETAIL_BODY,
            Details::RESOURCE,
            change::<S>(&Method::PUT, || put_route(actions::put_detail)),
        ),
    ]
}

fn reads<S: Side>() -> Vec<Operation> {
    vec![
        list::<S, Batches, BatchesRead>("Get batch collection", "/v1/batches"),
        one::<S, Batches, BatchesRead>("Get batch", "/v1/batches/{batch_id}"),
        list::<S, Details, BatchesRead>("Get batch detail collection", "/v1/batchdetails"),
        one::<S, Details, BatchesRead>("Get batch detail", "/v1/batchdetails/{batch_detail_id}"),
        list::<S, History, BatchesRead>(
            "Get batch detail history collection",
            "/v1/batchdetailhistory",
        ),
        one::<S, History, BatchesRead>(
            "Get batch detail history",
            "/v1/batchdetailhistory/{batch_detail_history_id}",
        ),
        list::<S, Logs, BatchesRead>("Get batch detail log collection", "/v1/batchdetaillogs"),
        one::<S, Logs, BatchesRead>(
            "Get batch detail log",
            "/v1/batchdetaillogs/{batch_detail_log_id}",
        ),
        list::<S, Batches, BatchesRead>("Get file batch collection", "/v1/files/{file_id}/batches"),
        one::<S, Batches, BatchesRead>("Get file batch", "/v1/files/{file_id}/batches/{batch_id}"),
        list::<S, Details, BatchesRead>(
            "Get file batch detail collection",
            "/v1/files/{file_id}/batches/{batch_id}/batchdetails",
        ),
        one::<S, Details, BatchesRead>(
            "Get file batch detail",
            "/v1/files/{file_id}/batches/{batch_id}/details/{batch_detail_id}",
        ),
        list::<S, History, BatchesRead>(
            "Get file batch detail history collection",
            "/v1/files/{file_id}/batches/{batch_id}/details/{batch_detail_id}/history",
        ),
        one::<S, History, BatchesRead>(
            "Get file batch detail history",
            "/v1/files/{file_id}/batches/{batch_id}/details/{batch_detail_id}/history/\
             {batch_detail_history_id}",
        ),
        list::<S, Logs, BatchesRead>(
            "Get file batch detail log collection",
            "/v1/files/{file_id}/batches/{batch_id}/details/{batch_detail_id}/logs",
        ),
        one::<S, Logs, BatchesRead>(
            "Get file batch detail log",
            "/v1/files/{file_id}/batches/{batch_id}/details/{batch_detail_id}/logs/\
             {batch_detail_log_id}",
        ),
    ]
}

/// What people asked of a file and its batches.
fn asked<S: Side>() -> [Operation; 2] {
    [
        list::<S, AskedOf, BatchesRead>(
            "Get file action collection",
            "/v1/files/{file_id}/actions",
        ),
        list::<S, AskedOf, BatchesRead>(
            "Get file batch action collection",
            "/v1/files/{file_id}/batches/{batch_id}/actions",
        ),
    ]
}

fn errors<S: Side>() -> Operation {
    Operation {
        name: "Download file batch with errors CSV",
        method: Method::GET,
        path: "/v1/files/{file_id}/batches/{batch_id}/errors",
        permission: BatchesRead::PERMISSION,
        takes: Takes::Lines,
        answers: Answers::Csv(Details::RESOURCE),
        route: read::<S>(|| get(mending::download)),
    }
}

fn mended<S: Side>() -> Operation {
    Operation {
        name: "Update file batch with errors CSV",
        method: Method::POST,
        permission: BatchesWrite::PERMISSION,
        takes: Takes::ErrorsTable,
        answers: Answers::Drafted(Details::RESOURCE),
        route: change::<S>(&Method::POST, || post(mending::upload)),
        ..errors::<S>()
    }
}
