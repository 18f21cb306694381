//! Reports, their schedules, and the messages that were received.

use weir_query::{Messages, References, Reports};
use weir_store::ReportSchedule;

use super::{Operation, Side, create, list, one, remove, replace};
use crate::auth::permission::{MessagesRead, ReportsRead, ReportsWrite};

/// Every operation on reports, report schedules and messages.
pub(super) fn operations<S: Side>() -> Vec<Operation> {
    let mut operations = reads::<S>();
    operations.extend(changed_schedules::<S>());
    operations
}

fn reads<S: Side>() -> Vec<Operation> {
    vec![
        list::<S, Reports, ReportsRead>("Get report collection", "/v1/reports"),
        one::<S, Reports, ReportsRead>("Get report", "/v1/reports/{report_id}"),
        list::<S, References<ReportSchedule>, ReportsRead>(
            "Get report schedule collection",
            "/v1/reportschedules",
        ),
        one::<S, References<ReportSchedule>, ReportsRead>(
            "Get report schedule",
            "/v1/reportschedules/{report_schedule_id}",
        ),
        list::<S, References<ReportSchedule>, ReportsRead>(
            "Get client program report schedule collections",
            "/v1/clients/{client_id}/programs/{program_id}/reportschedules",
        ),
        one::<S, References<ReportSchedule>, ReportsRead>(
            "Get client program report schedule",
            "/v1/clients/{client_id}/programs/{program_id}/reportschedules/{report_schedule_id}",
        ),
        list::<S, References<ReportSchedule>, ReportsRead>(
            "Get client program seller report schedule collections",
            "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}/reportschedules",
        ),
        one::<S, References<ReportSchedule>, ReportsRead>(
            "Get client program seller report schedule",
            "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}/reportschedules/\
             {report_schedule_id}",
        ),
        list::<S, Messages, MessagesRead>("Get SQS Message collection", "/v1/sqsmessages"),
        one::<S, Messages, MessagesRead>("Get SQS Message", "/v1/sqsmessages/{sqsmessage_id}"),
    ]
}

fn changed_schedules<S: Side>() -> Vec<Operation> {
    type May = ReportsWrite;
    let of_program = "/v1/clients/{client_id}/programs/{program_id}/reportschedules";
    let one_of_program =
        "/v1/clients/{client_id}/programs/{program_id}/reportschedules/{report_schedule_id}";
    let of_seller =
        "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}/reportschedules";
    let one_of_seller = "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}/\
                         reportschedules/{report_schedule_id}";
    vec![
        create::<S, ReportSchedule, May>("Create client program report schedule", of_program),
        replace::<S, ReportSchedule, May>("Update client program report", one_of_program),
        remove::<S, ReportSchedule, May>("Delete client program report", one_of_program),
        create::<S, ReportSchedule, May>("Create client program seller report schedule", of_seller),
        replace::<S, ReportSchedule, May>("Update client program seller report", one_of_seller),
        remove::<S, ReportSchedule, May>("Delete client program seller report", one_of_seller),
    ]
}
