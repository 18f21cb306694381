//! Clients, programs, sellers, customers, contacts.

use weir_query::References;
use weir_store::{Client, Customer, Program, Seller, SellerContact};

use super::{Operation, create, list, one, remove, replace};
use crate::auth::permission::{ReferenceRead, ReferenceWrite};

/// Every operation on reference data but the report schedules.
pub(super) fn operations() -> Vec<Operation> {
    let mut operations = clients_programs_and_customers();
    operations.extend(sellers());
    operations.extend(changed_clients_and_programs());
    operations.extend(changed_sellers_and_customers());
    operations
}

fn clients_programs_and_customers() -> Vec<Operation> {
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
