//! The operations: one table that the routes, the permissions, the API document and the tests go by.

use axum::routing::{MethodRouter, delete, get, post, put};
use http::Method;
use weir_domain::Permission;
use weir_query::{
    Batches, Details, Files, History, Listed, Logs, Messages, References, Reports, Resource,
};
use weir_settlement::reference::{Body, BodySchema};
use weir_store::{Client, Customer, Program, ReportSchedule, Seller, SellerContact};

use crate::auth::permission::{
    BatchesRead, FilesRead, MessagesRead, Permitted, ReferenceRead, ReferenceWrite, ReportsRead,
    ReportsWrite, SettlementsWrite,
};
use crate::references::{self as changes, Changeable};
use crate::{Api, mending, resources, settlements};

/// Something that can be asked of the API.
#[derive(Debug)]
pub struct Operation {
    /// What it is called; unique.
    pub name: &'static str,
    /// The method.
    pub method: Method,
    /// The path; ids in braces.
    pub path: &'static str,
    /// What the caller must be allowed to do.
    pub permission: Permission,
    /// What it takes besides the ids in its path.
    pub takes: Takes,
    /// What it answers when all is well.
    pub answers: Answers,
    route: MethodRouter<Api>,
}

/// What an operation takes besides the ids in its path.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// Which fields to show of one resource.
    Fields(&'static Resource),
    /// Filters, sorts and pages of a list.
    Query(&'static Resource),
    /// A settlement file.
    SettlementFile,
    /// The first and the last line of a batch.
    Lines,
    /// A body of JSON.
    Body(&'static BodySchema),
    /// Nothing.
    Nothing,
}

/// What an operation answers when all is well.
#[derive(Debug, Clone, Copy)]
pub enum Answers {
    /// One resource.
    One(&'static Resource),
    /// A list.
    List(&'static Resource),
    /// A table of a resource, as CSV.
    Csv(&'static Resource),
    /// Nothing: the resource is gone.
    Nothing(&'static Resource),
}

impl Answers {
    /// What it is one of, a list of or a table of, or what is gone.
    pub fn resource(self) -> &'static Resource {
        match self {
            Self::One(resource)
            | Self::List(resource)
            | Self::Csv(resource)
            | Self::Nothing(resource) => resource,
        }
    }
}

impl Operation {
    /// The names of the ids in its path, in order.
    pub fn path_ids(&self) -> impl Iterator<Item = &'static str> + use<> {
        let id = |part: &'static str| part.strip_prefix('{')?.strip_suffix('}');
        self.path.split('/').filter_map(id)
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    pub(crate) fn into_route(self) -> (&'static str, MethodRouter<Api>) {
        (self.path, self.route)
    }
}

/// A list of a resource.
fn list<L: Listed, P: Permitted>(name: &'static str, path: &'static str) -> Operation {
    Operation {
        name,
        method: Method::GET,
        path,
        permission: P::PERMISSION,
        takes: Takes::Query(L::RESOURCE),
        answers: Answers::List(L::RESOURCE),
        route: get(resources::list::<L, P>),
    }
}

/// One resource by the last id of the path.
fn one<L: Listed, P: Permitted>(name: &'static str, path: &'static str) -> Operation {
    Operation {
        name,
        method: Method::GET,
        path,
        permission: P::PERMISSION,
        takes: Takes::Fields(L::RESOURCE),
        answers: Answers::One(L::RESOURCE),
        route: get(resources::one::<L, P>),
    }
}

/// What a body of a kind holds: there is one of every kind that callers change.
fn body<C: Changeable>() -> Takes {
    Body::schema(C::KIND).map_or(Takes::Nothing, Takes::Body)
}

/// Creates one of a kind.
fn create<C: Changeable, P: Permitted>(name: &'static str, path: &'static str) -> Operation {
    Operation {
        name,
        method: Method::POST,
        path,
        permission: P::PERMISSION,
        takes: body::<C>(),
        answers: Answers::One(C::RESOURCE),
        route: post(changes::create::<C, P>),
    }
}

/// Replaces one of a kind.
fn replace<C: Changeable, P: Permitted>(name: &'static str, path: &'static str) -> Operation {
    Operation {
        method: Method::PUT,
        route: put(changes::replace::<C, P>),
        ..create::<C, P>(name, path)
    }
}

/// Deletes one of a kind.
fn remove<C: Changeable, P: Permitted>(name: &'static str, path: &'static str) -> Operation {
    Operation {
        name,
        method: Method::DELETE,
        path,
        permission: P::PERMISSION,
        takes: Takes::Nothing,
        answers: Answers::Nothing(C::RESOURCE),
        route: delete(changes::delete::<C, P>),
    }
}

/// Every operation.
pub fn operations() -> Vec<Operation> {
    let mut operations = settlements_and_files();
    operations.extend(batches());
    operations.push(errors());
    operations.extend(references());
    operations.extend(sellers());
    operations.extend(reports_and_messages());
    operations.extend(changed_clients_and_programs());
    operations.extend(changed_sellers_and_customers());
    operations.extend(changed_schedules());
    operations
}

fn settlements_and_files() -> Vec<Operation> {
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
    ]
}

fn batches() -> Vec<Operation> {
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

fn references() -> Vec<Operation> {
    vec![
        list::<References<Client>, ReferenceRead>("Get client collection", "/v1/clients"),
        one::<References<Client>, ReferenceRead>("Get client", "/v1/clients/{client_id}"),
        list::<References<Program>, ReferenceRead>("Get program collection", "/v1/programs"),
        one::<References<Program>, ReferenceRead>("Get program", "/v1/programs/{program_id}"),
        list::<References<Program>, ReferenceRead>(
            "Get client program collection",
            "/v1/clients/{client_id}/programs",
        ),
        one::<References<Program>, ReferenceRead>(
            "Get client program",
            "/v1/clients/{client_id}/programs/{program_id}",
        ),
        list::<References<Customer>, ReferenceRead>("Get customer collection", "/v1/customers"),
        one::<References<Customer>, ReferenceRead>("Get customer", "/v1/customers/{customer_id}"),
        list::<References<Customer>, ReferenceRead>(
            "Get program customer collection",
            "/v1/clients/{client_id}/programs/{program_id}/customers",
        ),
        one::<References<Customer>, ReferenceRead>(
            "Get client program customer",
            "/v1/clients/{client_id}/programs/{program_id}/customers/{customer_id}",
        ),
    ]
}

fn sellers() -> Vec<Operation> {
    vec![
        list::<References<Seller>, ReferenceRead>("Get seller collection", "/v1/sellers"),
        one::<References<Seller>, ReferenceRead>("Get seller", "/v1/sellers/{seller_id}"),
        list::<References<Seller>, ReferenceRead>(
            "Get client program seller collection",
            "/v1/clients/{client_id}/programs/{program_id}/sellers",
        ),
        one::<References<Seller>, ReferenceRead>(
            "Get client program seller",
            "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}",
        ),
        list::<References<SellerContact>, ReferenceRead>(
            "Get seller contact collection",
            "/v1/sellercontacts",
        ),
        one::<References<SellerContact>, ReferenceRead>(
            "Get seller contact",
            "/v1/sellercontacts/{seller_contact_id}",
        ),
        list::<References<SellerContact>, ReferenceRead>(
            "Get client program seller contact collection",
            "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}/sellercontacts",
        ),
        one::<References<SellerContact>, ReferenceRead>(
            "Get client program seller contact",
            "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}/sellercontacts/\
             {seller_contact_id}",
        ),
    ]
}

fn reports_and_messages() -> Vec<Operation> {
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

fn changed_clients_and_programs() -> Vec<Operation> {
    type May = ReferenceWrite;
    let (clients, client) = ("/v1/clients", "/v1/clients/{client_id}");
    let programs = "/v1/clients/{client_id}/programs";
    let program = "/v1/clients/{client_id}/programs/{program_id}";
    vec![
        create::<Client, May>("Create client", clients),
        create::<Client, May>("Create client with ID", client),
        replace::<Client, May>("Update client", client),
        remove::<Client, May>("Delete client", client),
        create::<Program, May>("Create client program", programs),
        create::<Program, May>("Create client program with ID", program),
        replace::<Program, May>("Update client program", program),
        remove::<Program, May>("Delete client program", program),
    ]
}

fn changed_sellers_and_customers() -> Vec<Operation> {
    type May = ReferenceWrite;
    let sellers = "/v1/clients/{client_id}/programs/{program_id}/sellers";
    let seller = "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}";
    let customers = "/v1/clients/{client_id}/programs/{program_id}/customers";
    let customer = "/v1/clients/{client_id}/programs/{program_id}/customers/{customer_id}";
    vec![
        create::<Seller, May>("Create client program seller", sellers),
        create::<Seller, May>("Create client program seller with ID", seller),
        replace::<Seller, May>("Update client program seller", seller),
        remove::<Seller, May>("Delete client program seller", seller),
        create::<Customer, May>("Create client program customer", customers),
        create::<Customer, May>("Create client program customer with ID", customer),
        replace::<Customer, May>("Update client program customer", customer),
        remove::<Customer, May>("Delete client program customer", customer),
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
