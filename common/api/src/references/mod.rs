//! Reference data as callers change it: `POST`, `PUT` and `DELETE` on clients, programs, sellers,
//! customers and report schedules.
//!
//! Who may change what: whoever has the permission, and whose scope covers all that the thing belongs
//! to. So a client's key makes programs and cannot rename or delete its client; a program's key makes
//! sellers; a seller's key changes the report schedules that are about its seller, and nothing else.
//! What a key may see and not change is a 403; what it may not see is a 404, whether it exists or not.
//!
//! What is wrong with a request is told in this order: who asks and their permission, the path and
//! the query, the scope, the type and the size of the body, the body, what is there.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, StatusCode, Uri};
use uuid::Uuid;
use weir_domain::{ClientId, ProgramId, ScheduleFrequency, SellerId};
use weir_query::{
    CLIENT, CUSTOMER, Field, PROGRAM, REPORT_SCHEDULE, ReferenceRow, Report, Resource, Row, SELLER,
    SELLER_CONTACT, Scope, Shown, Value,
};
use weir_settlement::reference::{
    self, Place, ReferenceChanges, ReferenceError, SchedulableReport,
};
use weir_store::{Reference, ReferenceKind};

use crate::auth::{Allowed, Permitted};
use crate::path::PathIds;
use crate::{Api, ApiError, IdempotentRun, ValidationError, body};

/// The largest body.
pub const REFERENCE_BYTES_MAX: usize = 64 * 1024;

/// A kind of reference data that callers change.
pub(crate) trait Changeable: Send + Sync + 'static {
    const KIND: ReferenceKind;
    /// What an answer shows.
    const RESOURCE: &'static Resource;
    /// What its id is called in a path.
    const ID: &'static str;
}

macro_rules! changeable {
    ($($type:ident, $resource:ident, $id:literal;)+) => {
        $(
            impl Changeable for weir_store::$type {
                const KIND: ReferenceKind = ReferenceKind::$type;
                const RESOURCE: &'static Resource = &$resource;
                const ID: &'static str = $id;
            }
        )+
    };
}

changeable! {
    Client, CLIENT, "client_id";
    Program, PROGRAM, "program_id";
    Seller, SELLER, "seller_id";
    Customer, CUSTOMER, "customer_id";
    ReportSchedule, REPORT_SCHEDULE, "report_schedule_id";
}

/// What a path says: to what something belongs, and which it is where that is told.
#[derive(Debug, Clone, Copy)]
struct Target<'a> {
    /// The ids of what it belongs to, as the path names them.
    above: &'a [(&'static str, Uuid)],
    place: Place,
    id: Option<Uuid>,
}

/// Creates one, under the id of the path or a new one.
pub(crate) async fn create<C: Changeable, P: Permitted>(
    State(api): State<Api>,
    allowed: Allowed<P>,
    path: PathIds,
    run: Option<Extension<IdempotentRun>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let (path, ()) = path.and(body::no_query(&uri))?;
    let target = Target::of::<C>(&path)?;
    // The id of what is yet to be lies in nobody's scope.
    may_change::<C>(&allowed.scope, target.above, target.place)?;
    let body = read::<C>(&headers, body).await?;
    let run = run.map(|Extension(run)| run);
    let created = created(&api.changes(), &target, run, &body).await;
    let created = created.map_err(|error| not_changed::<C>(error, target.place))?;
    audit(&allowed, C::KIND, created.id(), "created");
    Ok(shown(created))
}

/// Creates it, or finds what an earlier run of the same request has created.
async fn created(
    changes: &ReferenceChanges,
    target: &Target<'_>,
    run: Option<IdempotentRun>,
    body: &reference::Body,
) -> Result<Reference, ReferenceError> {
    let Some(run) = run else {
        return changes.create(target.place, target.id, body).await;
    };
    let id = target.id.unwrap_or(run.seed);
    let created = changes.create(target.place, Some(id), body).await;
    if run.is_rerun && created == Err(ReferenceError::Exists) {
        let first_at = target.id.map(|_| run.first_at);
        let before = changes
            .made_before(target.place, id, body, first_at)
            .await?;
        return before.ok_or(ReferenceError::Exists);
    }
    created
}

/// Replaces what a body can say of the one that the path names.
pub(crate) async fn replace<C: Changeable, P: Permitted>(
    State(api): State<Api>,
    allowed: Allowed<P>,
    path: PathIds,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let (path, ()) = path.and(body::no_query(&uri))?;
    let (place, id) = Target::of::<C>(&path)?.existing::<C>()?;
    may_change::<C>(&allowed.scope, &path, place)?;
    let body = read::<C>(&headers, body).await?;
    let replaced = api.changes().replace(place, id, &body).await;
    let replaced = replaced.map_err(|error| not_changed::<C>(error, place))?;
    audit(&allowed, C::KIND, id, "replaced");
    Ok(shown(replaced))
}

/// Deletes the one that the path names. The answer is empty.
pub(crate) async fn delete<C: Changeable, P: Permitted>(
    State(api): State<Api>,
    allowed: Allowed<P>,
    path: PathIds,
    uri: Uri,
) -> Result<Response, ApiError> {
    let (path, ()) = path.and(body::no_query(&uri))?;
    let (place, id) = Target::of::<C>(&path)?.existing::<C>()?;
    may_change::<C>(&allowed.scope, &path, place)?;
    let deleted = api.changes().delete(C::KIND, place, id).await;
    deleted.map_err(|error| not_changed::<C>(error, place))?;
    audit(&allowed, C::KIND, id, "deleted");
    Ok(StatusCode::OK.into_response())
}

impl Api {
    fn changes(&self) -> ReferenceChanges {
        ReferenceChanges {
            store: self.store.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
        }
    }
}

impl<'a> Target<'a> {
    fn of<C: Changeable>(path: &'a [(&'static str, Uuid)]) -> Result<Self, ApiError> {
        let (id, above) = match path.split_last() {
            Some(((name, id), above)) if *name == C::ID => (Some(*id), above),
            _ => (None, path),
        };
        let part = |wanted: &str| {
            let mut parts = above.iter();
            parts.find(|(name, _)| *name == wanted).map(|(_, id)| *id)
        };
        let unknown = |_| ApiError::no_such(C::RESOURCE.name);
        let client = part("client_id").map(ClientId::try_from);
        let program = part("program_id").map(ProgramId::try_from);
        let seller = part("seller_id").map(SellerId::try_from);
        let place = Place::new(
            client.transpose().map_err(unknown)?,
            program.transpose().map_err(unknown)?,
            seller.transpose().map_err(unknown)?,
        );
        Ok(Self { above, place, id })
    }

    fn existing<C: Changeable>(self) -> Result<(Place, Uuid), ApiError> {
        let id = self.id.ok_or_else(|| ApiError::no_such(C::RESOURCE.name))?;
        Ok((self.place, id))
    }
}

/// Refuses what a key may not see, and what it may not change.
fn may_change<C: Changeable>(
    scope: &Scope,
    path: &[(&'static str, Uuid)],
    place: Place,
) -> Result<(), ApiError> {
    let is_seen = path.iter().all(|(name, id)| {
        let only = match *name {
            "client_id" => scope.client_id.map(Uuid::from),
            "program_id" => scope.program_id.map(Uuid::from),
            "seller_id" => scope.seller_id.map(Uuid::from),
            _ => None,
        };
        only.is_none_or(|only| only == *id)
    });
    if !is_seen {
        return Err(ApiError::no_such(C::RESOURCE.name));
    }
    let covers = match place {
        Place::Top => scope.is_everything(),
        Place::Client(client) => scope.covers(Some(client), None, None),
        Place::Program(client, program) => scope.covers(Some(client), Some(program), None),
        Place::Seller(client, program, seller) => {
            scope.covers(Some(client), Some(program), Some(seller))
        }
    };
    if covers {
        return Ok(());
    }
    Err(ApiError::Unauthorized(format!(
        "You may not do this: it needs a key whose scope is all that a {} belongs to, or more.",
        C::RESOURCE.name
    )))
}

async fn read<C: Changeable>(headers: &HeaderMap, sent: Body) -> Result<reference::Body, ApiError> {
    let bytes = body::read_json(headers, sent, REFERENCE_BYTES_MAX).await?;
    Ok(reference::Body::parse(C::KIND, &bytes, &reports())?)
}

/// The reports that a schedule may name, as they are shown.
fn reports() -> Vec<SchedulableReport> {
    let frequencies = |report: &Report| match report.value("supported_schedule_frequencies") {
        Value::Texts(names) => names.iter().filter_map(|name| name.parse().ok()).collect(),
        _ => Vec::<ScheduleFrequency>::new(),
    };
    let one = |report: Report| SchedulableReport {
        id: report.id(),
        frequencies: frequencies(&report),
    };
    Report::ALL.map(one).into()
}

fn not_changed<C: Changeable>(error: ReferenceError, place: Place) -> ApiError {
    let name = C::RESOURCE.name;
    let seconds = error.retry_after_seconds().unwrap_or(1);
    match error {
        ReferenceError::NoSuch(kind) if kind == C::KIND => ApiError::no_such(name),
        ReferenceError::NoSuch(kind) => ApiError::no_such(&kind.name().replace('-', " ")),
        ReferenceError::Exists => ApiError::InvalidParameter(vec![ValidationError::new(
            format!("/path/{}", C::ID),
            format!("there is a {name} with this id"),
        )]),
        ReferenceError::AlternateIdTaken => ApiError::InvalidParameter(vec![ValidationError::new(
            "/alternate_seller_id",
            "another seller of the program has it",
        )]),
        ReferenceError::InUse(what) => {
            ApiError::Conflict(format!("The {name} is in use: it has {}.", what.join(", ")))
        }
        ReferenceError::BeingDeleted(kind) => {
            let kind = kind.name().replace('-', " ");
            let how = format!("The {kind} is being deleted: try again in some seconds.");
            ApiError::Busy(how, seconds)
        }
        ReferenceError::Newer => {
            let how = format!("Others change the {name} at the same time: try again.");
            ApiError::Busy(how, seconds)
        }
        ReferenceError::Ahead(_) => {
            let how = format!(
                "The last change of the {name} came with a time that is {seconds} s ahead of the clock \
                 here: try again then."
            );
            ApiError::Busy(how, seconds)
        }
        ReferenceError::Store(error) => {
            tracing::error!(?place, "reference data could not be changed");
            error.into()
        }
    }
}

/// Says who changed what. What it holds is nobody's business in a log.
fn audit<P>(allowed: &Allowed<P>, kind: ReferenceKind, id: Uuid, action: &'static str) {
    let (caller_id, caller) = (&allowed.who.id, &allowed.who.name);
    tracing::info!(%caller_id, caller, %kind, %id, action, "reference data was changed");
}

/// The resource as a question for it shows it.
fn shown(reference: Reference) -> Response {
    match reference {
        Reference::Client(it) => row(&ReferenceRow(it), &CLIENT),
        Reference::Program(it) => row(&ReferenceRow(it), &PROGRAM),
        Reference::Seller(it) => row(&ReferenceRow(it), &SELLER),
        Reference::Customer(it) => row(&ReferenceRow(it), &CUSTOMER),
        Reference::SellerContact(it) => row(&ReferenceRow(it), &SELLER_CONTACT),
        Reference::ReportSchedule(it) => row(&ReferenceRow(it), &REPORT_SCHEDULE),
    }
}

fn row(row: &impl Row, resource: &'static Resource) -> Response {
    let fields: Vec<&Field> = resource.fields.iter().collect();
    Json(Shown {
        row,
        fields: &fields,
    })
    .into_response()
}
