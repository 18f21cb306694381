//! The operations: one table that the routes, the permissions, the API document and the tests go by.

mod batches;
mod references;
mod reports;
mod settlements;
mod side;

use axum::routing::{MethodFilter, MethodRouter, delete, get, on, post, put};
use http::Method;
use weir_domain::Permission;
use weir_query::{Listed, Resource};
use weir_settlement::reference::Body;
use weir_settlement::schema::BodySchema;

use crate::auth::permission::Permitted;
use crate::references::{self as changes, Changeable};
use crate::{Api, ApiError, resources};
use side::Told;
pub(crate) use side::{Both, Changes, Reads, Side};

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
    /// A table of errors, mended.
    ErrorsTable,
    /// Pages of problems, and their form.
    Problems,
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
    /// How many drafts of a resource were written.
    Drafted(&'static Resource),
    /// A list of a resource, as JSON or as CSV.
    Problems(&'static Resource),
    /// A resource that waits for an object, and how to send that.
    Place(&'static Resource),
    /// How parts of a resource's object are to be sent.
    Parts(&'static Resource),
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
            | Self::Drafted(resource)
            | Self::Problems(resource)
            | Self::Place(resource)
            | Self::Parts(resource)
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

    /// Whether it takes an `Idempotency-Key`: a `POST` that must not be done twice. What is asked of a place
    /// for an upload may be: it is answered with how things stand, and to keep such an answer would be wrong.
    pub fn takes_key(&self) -> bool {
        self.method == Method::POST && !self.path.starts_with(settlements::OF_A_PLACE)
    }

    pub(crate) fn into_route(self) -> (&'static str, MethodRouter<Api>) {
        (self.path, self.route)
    }
}

/// A list of a resource.
fn list<S: Side, L: Listed, P: Permitted>(name: &'static str, path: &'static str) -> Operation {
    Operation {
        name,
        method: Method::GET,
        path,
        permission: P::PERMISSION,
        takes: Takes::Query(L::RESOURCE),
        answers: Answers::List(L::RESOURCE),
        route: read::<S>(|| get(resources::list::<L, P>)),
    }
}

/// One resource by the last id of the path.
fn one<S: Side, L: Listed, P: Permitted>(name: &'static str, path: &'static str) -> Operation {
    Operation {
        name,
        method: Method::GET,
        path,
        permission: P::PERMISSION,
        takes: Takes::Fields(L::RESOURCE),
        answers: Answers::One(L::RESOURCE),
        route: read::<S>(|| get(resources::one::<L, P>)),
    }
}

/// What a body of a kind holds: there is one of every kind that callers change.
fn body<C: Changeable>() -> Takes {
    Body::schema(C::KIND).map_or(Takes::Nothing, Takes::Body)
}

/// Creates one of a kind.
fn create<S: Side, C: Changeable, P: Permitted>(
    name: &'static str,
    path: &'static str,
) -> Operation {
    Operation {
        name,
        method: Method::POST,
        path,
        permission: P::PERMISSION,
        takes: body::<C>(),
        answers: Answers::One(C::RESOURCE),
        route: change::<S>(&Method::POST, || post(changes::create::<C, P>)),
    }
}

/// Replaces one of a kind.
fn replace<S: Side, C: Changeable, P: Permitted>(
    name: &'static str,
    path: &'static str,
) -> Operation {
    Operation {
        method: Method::PUT,
        route: change::<S>(&Method::PUT, || put(changes::replace::<C, P>)),
        ..create::<S, C, P>(name, path)
    }
}

/// Deletes one of a kind.
fn remove<S: Side, C: Changeable, P: Permitted>(
    name: &'static str,
    path: &'static str,
) -> Operation {
    Operation {
        name,
        method: Method::DELETE,
        path,
        permission: P::PERMISSION,
        takes: Takes::Nothing,
        answers: Answers::Nothing(C::RESOURCE),
        route: change::<S>(&Method::DELETE, || delete(changes::delete::<C, P>)),
    }
}

/// The route of something that only reads.
fn read<S: Side>(route: impl FnOnce() -> MethodRouter<Api>) -> MethodRouter<Api> {
    if S::READS {
        route()
    } else {
        elsewhere(&Method::GET)
    }
}

/// The route of something that changes something.
fn change<S: Side>(
    method: &Method,
    route: impl FnOnce() -> MethodRouter<Api>,
) -> MethodRouter<Api> {
    if S::CHANGES {
        route()
    } else {
        elsewhere(method)
    }
}

/// The place of a route that another function answers: its path is known here, and so a method that
/// nobody answers there is told from a path that is not there.
pub(crate) fn elsewhere(method: &Method) -> MethodRouter<Api> {
    MethodFilter::try_from(method.clone()).map_or_else(
        |_| MethodRouter::new(),
        |method| on(method, || async { ApiError::method_not_allowed() }),
    )
}

/// Every operation.
pub fn operations() -> Vec<Operation> {
    of_side::<Told>()
}

/// Every operation, with the routes of a side.
pub(crate) fn of_side<S: Side>() -> Vec<Operation> {
    let mut operations = settlements::operations::<S>();
    operations.extend(batches::operations::<S>());
    operations.extend(references::operations::<S>());
    operations.extend(reports::operations::<S>());
    operations
}
