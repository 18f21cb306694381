//! Clients, programs, sellers, customers, contacts.

use weir_query::References;
use weir_store::{Client, Customer, Program, Seller, SellerContact};

use super::{Operation, Side, create, list, one, remove, replace};
use crate::auth::permission::{ReferenceRead, ReferenceWrite};

/// Every operation on reference data but the report schedules.
pub(super) fn operations<S: Side>() -> Vec<Operation> {
    let mut operations = clients_programs_and_customers::<S>();
    operations.extend(sellers::<S>());
    operations.extend(changed_clients_and_programs::<S>());
    operations.extend(changed_sellers_and_customers::<S>());
    operations
}

fn clients_programs_and_customers<S: Side>() -> Vec<Operation> {
    vec![
        list::<S, References<Client>, ReferenceRead>("Get client collection", "/v1/clients"),
        one::<S, References<Client>, ReferenceRead>("Get client", "/v1/clients/{client_id}"),
        list::<S, References<Program>, ReferenceRead>("Get program collection", "/v1/programs"),
        one::<S, References<Program>, ReferenceRead>("Get program", "/v1/programs/{program_id}"),
        list::<S, References<Program>, ReferenceRead>(
            "Get client program collection",
            "/v1/clients/{client_id}/programs",
        ),
        one::<S, References<Program>, ReferenceRead>(
            "Get client program",
            "/v1/clients/{client_id}/programs/{program_id}",
        ),
        list::<S, References<Customer>, ReferenceRead>("Get customer collection", "/v1/customers"),
        one::<S, References<Customer>, ReferenceRead>(
            "Get customer",
            "/v1/customers/{customer_id}",
        ),
        list::<S, References<Customer>, ReferenceRead>(
            "Get program customer collection",
            "/v1/clients/{client_id}/programs/{program_id}/customers",
        ),
        one::<S, References<Customer>, ReferenceRead>(
            "Get client program customer",
            "/v1/clients/{client_id}/programs/{program_id}/customers/{customer_id}",
        ),
    ]
}

fn sellers<S: Side>() -> Vec<Operation> {
    vec![
        list::<S, References<Seller>, ReferenceRead>("Get seller collection", "/v1/sellers"),
        one::<S, References<Seller>, ReferenceRead>("Get seller", "/v1/sellers/{seller_id}"),
        list::<S, References<Seller>, ReferenceRead>(
            "Get client program seller collection",
            "/v1/clients/{client_id}/programs/{program_id}/sellers",
        ),
        one::<S, References<Seller>, ReferenceRead>(
            "Get client program seller",
            "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}",
        ),
        list::<S, References<SellerContact>, ReferenceRead>(
            "Get seller contact collection",
            "/v1/sellercontacts",
        ),
        one::<S, References<SellerContact>, ReferenceRead>(
            "Get seller contact",
            "/v1/sellercontacts/{seller_contact_id}",
        ),
        list::<S, References<SellerContact>, ReferenceRead>(
            "Get client program seller contact collection",
            "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}/sellercontacts",
        ),
        one::<S, References<SellerContact>, ReferenceRead>(
            "Get client program seller contact",
            "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}/sellercontacts/\
             {seller_contact_id}",
        ),
    ]
}

fn changed_clients_and_programs<S: Side>() -> Vec<Operation> {
    type May = ReferenceWrite;
    let (clients, client) = ("/v1/clients", "/v1/clients/{client_id}");
    let programs = "/v1/clients/{client_id}/programs";
    let program = "/v1/clients/{client_id}/programs/{program_id}";
    vec![
        create::<S, Client, May>("Create client", clients),
        create::<S, Client, May>("Create client with ID", client),
        replace::<S, Client, May>("Update client", client),
        remove::<S, Client, May>("Delete client", client),
        create::<S, Program, May>("Create client program", programs),
        create::<S, Program, May>("Create client program with ID", program),
        replace::<S, Program, May>("Update client program", program),
        remove::<S, Program, May>("Delete client program", program),
    ]
}

fn changed_sellers_and_customers<S: Side>() -> Vec<Operation> {
    type May = ReferenceWrite;
    let sellers = "/v1/clients/{client_id}/programs/{program_id}/sellers";
    let seller = "/v1/clients/{client_id}/programs/{program_id}/sellers/{seller_id}";
    let customers = "/v1/clients/{client_id}/programs/{program_id}/customers";
    let customer = "/v1/clients/{client_id}/programs/{program_id}/customers/{customer_id}";
    vec![
        create::<S, Seller, May>("Create client program seller", sellers),
        create::<S, Seller, May>("Create client program seller with ID", seller),
        replace::<S, Seller, May>("Update client program seller", seller),
        remove::<S, Seller, May>("Delete client program seller", seller),
        create::<S, Customer, May>("Create client program customer", customers),
        create::<S, Customer, May>("Create client program customer with ID", customer),
        replace::<S, Customer, May>("Update client program customer", customer),
        remove::<S, Customer, May>("Delete client program customer", customer),
    ]
}
