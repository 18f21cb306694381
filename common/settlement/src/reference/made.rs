//! What bodies make: something new in a place, or something that is there made otherwise.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::ReportScope;
use weir_store::{Client, Customer, Program, Reference, ReportSchedule, Seller};

use super::{Body, Place};

/// What a body makes in a place; `None` when such a thing does not belong there.
pub(super) fn made(body: &Body, place: Place, id: Uuid, at: DateTime<Utc>) -> Option<Reference> {
    let new = match (body, place) {
        (Body::Client(_), Place::Top) => Reference::Client(Client {
            id: id.try_into().ok()?,
            name: String::new(),
            processed_message_ts: None,
            created_at: at,
            updated_at: at,
        }),
        (Body::Program(body), Place::Client(client_id)) => Reference::Program(Program {
            id: id.try_into().ok()?,
            client_id,
            name: String::new(),
            status: body.status,
            reply_to_email: None,
            support_email: None,
            sender_email: None,
            processed_message_ts: None,
            created_at: at,
            updated_at: at,
        }),
        (Body::Seller(_), Place::Program(client_id, program_id)) => Reference::Seller(Seller {
            id: id.try_into().ok()?,
            client_id,
            program_id,
            alternate_seller_id: None,
            name: String::new(),
            status: None,
            processed_message_ts: None,
            created_at: at,
            updated_at: at,
        }),
        (Body::Customer(_), Place::Program(client_id, program_id)) => {
            Reference::Customer(Customer {
                id: id.try_into().ok()?,
                client_id,
                program_id,
                name: None,
                processed_message_ts: None,
                created_at: at,
                updated_at: at,
            })
        }
        (Body::ReportSchedule(body), place) => {
            let (client_id, program_id, seller_id) = match place {
                Place::Program(client, program) => (client, program, None),
                Place::Seller(client, program, seller) => (client, program, Some(seller)),
                Place::Top | Place::Client(_) => return None,
            };
            Reference::ReportSchedule(ReportSchedule {
                id: id.try_into().ok()?,
                client_id,
                program_id,
                seller_id,
                report_id: body.report_id,
                report_scope: match seller_id {
                    Some(_) => ReportScope::Seller,
                    None => ReportScope::Client,
                },
                schedule_tz: String::new(),
                schedule_frequency: body.schedule_frequency,
                schedule_week_day: None,
                recipient_emails: Vec::new(),
                last_scheduled_at: None,
                created_at: at,
                updated_at: at,
            })
        }
        _ => return None,
    };
    replaced(body, new, at)
}

/// What a body makes of something; `None` when that is of another kind.
pub(super) fn replaced(
    body: &Body,
    mut reference: Reference,
    at: DateTime<Utc>,
) -> Option<Reference> {
    match (body, &mut reference) {
        (Body::Client(body), Reference::Client(it)) => {
            it.name.clone_from(&body.name);
            it.updated_at = at;
        }
        (Body::Program(body), Reference::Program(it)) => {
            it.name.clone_from(&body.name);
            it.status = body.status;
            it.reply_to_email = Some(body.reply_to_email.clone());
            it.support_email = Some(body.support_email.clone());
            it.sender_email = Some(body.sender_email.clone());
            it.updated_at = at;
        }
        (Body::Seller(body), Reference::Seller(it)) => {
            it.alternate_seller_id.clone_from(&body.alternate_seller_id);
            it.name.clone_from(&body.name);
            it.updated_at = at;
        }
        (Body::Customer(body), Reference::Customer(it)) => {
            it.name.clone_from(&body.name);
            it.updated_at = at;
        }
        (Body::ReportSchedule(body), Reference::ReportSchedule(it)) => {
            it.report_id = body.report_id;
            it.schedule_tz.clone_from(&body.schedule_tz);
            it.schedule_frequency = body.schedule_frequency;
            it.schedule_week_day = body.schedule_week_day;
            let addresses = body.recipient_emails.iter().map(ToString::to_string);
            it.recipient_emails = addresses.collect();
            it.updated_at = at;
        }
        _ => return None,
    }
    Some(reference)
}
