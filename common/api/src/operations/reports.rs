//! Reports, their schedules, and the messages that were received.

use weir_query::{Messages, References, Reports};
use weir_store::ReportSchedule;

use super::{Operation, create, list, one, remove, replace};
use crate::auth::permission::{MessagesRead, ReportsRead, ReportsWrite};

/// Every operation on reports, report schedules and messages.
pub(super) fn operations() -> Vec<Operation> {
    let mut operations = reads();
    operations.extend(changed_schedules());
    operations
}

fn reads() -> Vec<Operation> {
    vec![
        list::<Reports, ReportsRead>("Get report collection", "/v1/reports"),
        one::<Reports, ReportsRead>("Get report", "/v1/reports/{report_id}"),
        list::<References<ReportSchedule>, ReportsRead>(
            "Get report schedule collection",
            "/v1/reportschedules",
        ),
        one::<References<ReportSchedule>, ReportsRead>(
            "Get report schedule",
            "/v1/reportschedules/{report_schedule_id}",
        ),
        list::<References<ReportSchedule>, ReportsRead>(
            "Get client program report schedule collections",
            "/v1/clients/{client_id}/programs/{program_id}/reportschedules",
        ),
        one::<References<ReportSchedule>, ReportsRead>(
            "Get client program report schedule",
            "/v1/clients/{client_id}/programs/{program_id}/reportschedules/{report_schedule_id}",
        ),
        list::<References<ReportSchedule>, ReportsRead>(
            "Get client program seller report schedule collections",
            "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}/reportschedules",
        ),
        one::<References<ReportSchedule>, ReportsRead>(
            "Get client program seller report schedule",
            "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}/reportschedules/\
             {report_schedule_id}",
        ),
        list::<Messages, MessagesRead>("Get SQS Message collection", "/v1/sqsmessages"),
        one::<Messages, MessagesRead>("Get SQS Message", "/v1/sqsmessages/{sqsmessage_id}"),
    ]
}

fn changed_schedules() -> Vec<Operation> {
    type May = ReportsWrite;
    let of_program = "/v1/clients/{client_id}/programs/{program_id}/reportschedules";
    let one_of_program =
        "/v1/clients/{client_id}/programs/{program_id}/reportschedules/{report_schedule_id}";
    let of_seller =
        "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}/reportschedules";
    let one_of_seller = "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}/\
                         reportschedules/{report_schedule_id}";
    vec![
        create::<ReportSchedule, May>("Create client program report schedule", of_program),
        replace::<ReportSchedule, May>("Update client program report", one_of_program),
        remove::<ReportSchedule, May>("Delete client program report", one_of_program),
        create::<ReportSchedule, May>("Create client program seller report schedule", of_seller),
        replace::<ReportSchedule, May>("Update client program seller report", one_of_seller),
        remove::<ReportSchedule, May>("Delete client program seller report", one_of_seller),
    ]
}
