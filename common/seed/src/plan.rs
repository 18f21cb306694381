//! What a file would change of what is kept. Nothing is written.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};
use uuid::Uuid;
use weir_domain::{ClientId, ProgramId, SellerId};
use weir_runtime::{Clock, Random};
use weir_store::{ApiKeyRecord, Kept, Reference, ReferenceKind, Store, StoreError};

use crate::Seed;
use crate::apply::{Applied, Policy, refused};
use crate::compare::{Difference, differences};
use crate::file::{Entry, Place, SeedKey};
use crate::node::Problem;

/// Items that are read at the same time.
const READS_AT_A_TIME: usize = 16;

/// Is told of each entry that is done.
pub type Progress<'a> = &'a mut (dyn FnMut() + Send);

/// What loads files into the tables.
#[derive(Debug, Clone)]
pub struct Seeder {
    /// The tables.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Pauses, and the secrets of new keys.
    pub random: Random,
}

/// What a file would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The reference data: parents before what belongs to them.
    pub steps: Vec<Step>,
    /// The keys.
    pub keys: Vec<KeyStep>,
    /// What cannot be, whatever the policy: nothing is applied then.
    pub problems: Vec<Problem>,
}

/// What is to become of some reference data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it is to be; its times say nothing.
    pub wanted: Reference,
    /// What it is now.
    pub state: State,
    pub(crate) over: Option<Kept>,
    pub(crate) place: Place,
}

/// How something that a file wants stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is not there.
    Missing,
    /// It is there as it is wanted.
    Same,
    /// It is there otherwise.
    Differs(Vec<Difference>),
    /// It cannot be made as it is wanted, for a reason.
    Blocked(String),
}

/// What is to become of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStep {
    /// The key.
    pub key: SeedKey,
    /// The one that there is; it stays as it is.
    pub is: Option<ApiKeyRecord>,
    /// Whether its time is over.
    pub is_expired: bool,
}

impl KeyStep {
    /// Whether the key that there is may do something else than the file says, or cannot be used.
    pub fn is_other(&self) -> bool {
        let is = self.is.as_ref();
        self.is_expired
            || is.is_some_and(|is| {
                let wanted = self.key.record(is.created_at);
                let permissions = |record: &ApiKeyRecord| -> BTreeSet<String> {
                    record.permissions.iter().cloned().collect()
                };
                permissions(is) != permissions(&wanted)
                    || (&is.name, is.client_id, is.program_id, is.seller_id)
                        != (
                            &wanted.name,
                            wanted.client_id,
                            wanted.program_id,
                            wanted.seller_id,
                        )
                    || is.revoked_at.is_some()
            })
    }
}

impl Plan {
    /// How many entries stand in some way.
    pub fn count(&self, is_so: impl Fn(&State) -> bool) -> usize {
        self.steps.iter().filter(|step| is_so(&step.state)).count()
    }

    /// What applying it would come to if nothing else happened.
    pub fn foretold(&self, policy: Policy) -> Applied {
        let mut applied = Applied {
            stopped: refused(self, policy),
            ..Applied::default()
        };
        if applied.stopped.is_some() {
            return applied;
        }
        let made = self.keys.iter().filter(|step| step.is.is_none()).count();
        let differing = self.count(|state| matches!(state, State::Differs(_)));
        let blocked = self.count(|state| matches!(state, State::Blocked(_)));
        applied.created = made + self.count(|state| *state == State::Missing);
        applied.unchanged = self.keys.len() - made + self.count(|state| *state == State::Same);
        if policy == Policy::Update {
            applied.updated = differing;
            applied.left = blocked;
        } else {
            applied.left = differing + blocked;
        }
        applied
    }

    /// What is wrong with the file, given what is kept: everything that could not be applied.
    pub fn obstacles(&self) -> Vec<Problem> {
        let blocked = self.steps.iter().filter_map(|step| match &step.state {
            State::Blocked(reason) => Some(step.place.problem(reason)),
            _ => None,
        });
        let mut obstacles: Vec<_> = self.problems.iter().cloned().chain(blocked).collect();
        obstacles.sort();
        obstacles
    }
}

/// Whose something is: the client, and the program of a seller.
type Owner = (ClientId, Option<ProgramId>);

/// Whose clients, programs and sellers are, in the file or in the tables; `None` of what is not there.
struct Parents(BTreeMap<(ReferenceKind, Uuid), Option<Owner>>);

/// What something belongs to, as it says.
struct Above {
    client: Option<ClientId>,
    program: Option<ProgramId>,
    seller: Option<SellerId>,
}

impl Seeder {
    /// Compares a file with what is kept.
    ///
    /// # Errors
    /// The tables could not be reached.
    pub async fn plan(&self, seed: &Seed, progress: Progress<'_>) -> Result<Plan, StoreError> {
        let entries = seed.entries.iter();
        let ids: Vec<(ReferenceKind, Uuid)> = entries
            .map(|entry| (entry.reference.kind(), entry.reference.id()))
            .collect();
        let mut kept = stream::iter(ids)
            .map(|(kind, id)| self.store.kept_reference(kind, id))
            .buffered(READS_AT_A_TIME);
        let mut steps = Vec::with_capacity(seed.entries.len());
        for entry in &seed.entries {
            let Some(over) = kept.next().await else {
                break;
            };
            steps.push(Step::new(entry, over?));
            progress();
        }
        drop(kept);
        self.find_taken_ids(&mut steps).await?;
        let problems = self.dangling(seed).await?;
        let keys = self.keys(seed).await?;
        Ok(Plan {
            steps,
            keys,
            problems,
        })
    }

    async fn keys(&self, seed: &Seed) -> Result<Vec<KeyStep>, StoreError> {
        if seed.keys().is_empty() {
            return Ok(Vec::new());
        }
        let kept = self.store.api_keys().await?.into_iter();
        let kept: BTreeMap<Uuid, ApiKeyRecord> =
            kept.map(|(_, record)| (record.id, record)).collect();
        let now = self.clock.now();
        let step = |key: &SeedKey| {
            let is = kept.get(&key.id).cloned();
            let expires_at = is.as_ref().and_then(|is| is.expires_at);
            KeyStep {
                key: key.clone(),
                is,
                is_expired: expires_at.is_some_and(|at| at <= now),
            }
        };
        Ok(seed.keys().iter().map(step).collect())
    }

    /// Finds the sellers whose alternate id another one has that will not give it up.
    async fn find_taken_ids(&self, steps: &mut [Step]) -> Result<(), StoreError> {
        let mut holders: BTreeMap<Uuid, Uuid> = BTreeMap::new();
        for step in steps.iter() {
            let Reference::Seller(seller) = &step.wanted else {
                continue;
            };
            let Some(alternate) = &seller.alternate_seller_id else {
                continue;
            };
            if step.state == State::Same {
                continue;
            }
            let program = seller.program_id;
            let holder = self.store.seller_by_alternate_id(program, alternate);
            if let Some(holder) = holder.await?.filter(|holder| holder.id != seller.id) {
                holders.insert(seller.id.uuid(), holder.id.uuid());
            }
        }
        // No two sellers of the file want the same, so one that is in it gives up what it holds; unless
        // it waits itself, and in the end for the first.
        let giving: BTreeSet<Uuid> = steps
            .iter()
            .filter(|step| matches!(step.state, State::Differs(_)))
            .map(|step| step.wanted.id())
            .collect();
        for step in steps.iter_mut() {
            let id = step.wanted.id();
            if step.wanted.kind() != ReferenceKind::Seller {
                continue;
            }
            let Some(holder) = holders.get(&id) else {
                continue;
            };
            if !giving.contains(holder) {
                let reason =
                    format!("the seller {holder} of the program has its alternate_seller_id");
                step.block(reason);
            } else if is_circle(&holders, id) {
                let reason = format!(
                    "waits for the alternate_seller_id of the seller {holder}, which in the end waits for \
                     it: give one of them another first"
                );
                step.block(reason);
            }
        }
        Ok(())
    }

    /// Tells of what would belong to nothing, or to something of somebody else.
    async fn dangling(&self, seed: &Seed) -> Result<Vec<Problem>, StoreError> {
        let mut parents = Parents::of(seed);
        let mut problems = Vec::new();
        let entries = seed.entries.iter();
        let entries = entries.map(|entry| (Above::of(&entry.reference), &entry.place));
        let keys = seed.keys().iter().map(|key| {
            let above = Above {
                client: key.client_id,
                program: key.program_id,
                seller: key.seller_id,
            };
            (above, &key.place)
        });
        let all: Vec<(Above, &Place)> = entries.chain(keys).collect();
        for (above, place) in all {
            for (kind, id) in above.parents().collect::<Vec<_>>() {
                self.look_up(&mut parents, kind, id).await?;
            }
            problems.extend(parents.problem(&above).map(|why| place.problem(why)));
        }
        Ok(problems)
    }

    async fn look_up(
        &self,
        parents: &mut Parents,
        kind: ReferenceKind,
        id: Uuid,
    ) -> Result<(), StoreError> {
        if parents.0.contains_key(&(kind, id)) {
            return Ok(());
        }
        let kept = self.store.kept_reference(kind, id).await?;
        let found = kept.and_then(|kept| kept.reference);
        parents.0.insert((kind, id), found.as_ref().and_then(owner));
        Ok(())
    }
}

/// Whether a seller waits in the end for itself.
fn is_circle(holders: &BTreeMap<Uuid, Uuid>, from: Uuid) -> bool {
    let mut at = from;
    for _ in 0..=holders.len() {
        match holders.get(&at) {
            Some(next) if *next == from => return true,
            Some(next) => at = *next,
            None => return false,
        }
    }
    // A circle that this one only leads into.
    true
}

/// To whom something belongs that others may belong to.
fn owner(reference: &Reference) -> Option<Owner> {
    match reference {
        Reference::Client(it) => Some((it.id, None)),
        Reference::Program(it) => Some((it.client_id, None)),
        Reference::Seller(it) => Some((it.client_id, Some(it.program_id))),
        _ => None,
    }
}

impl Step {
    fn new(entry: &Entry, over: Option<Kept>) -> Self {
        let is = over.as_ref().and_then(|kept| kept.reference.as_ref());
        let state = match is.map(|is| differences(is, &entry.reference)) {
            None => State::Missing,
            Some(differing) if differing.is_empty() => State::Same,
            Some(differing) => match differing.iter().find(|one| one.is_fixed()) {
                None => State::Differs(differing),
                Some(Difference { member, is, .. }) => {
                    let is = is.as_deref().unwrap_or("none");
                    let why = "nothing moves to another: delete it first, or use another id";
                    State::Blocked(format!("its {member} is {is}, and {why}"))
                }
            },
        };
        Self {
            wanted: entry.reference.clone(),
            state,
            over,
            place: entry.place.clone(),
        }
    }

    fn block(&mut self, reason: String) {
        if !matches!(self.state, State::Blocked(_)) {
            self.state = State::Blocked(reason);
        }
    }
}

impl Above {
    fn of(reference: &Reference) -> Self {
        let (client, program, seller) = match reference {
            Reference::Client(_) => (None, None, None),
            Reference::Program(it) => (Some(it.client_id), None, None),
            Reference::Seller(it) => (Some(it.client_id), Some(it.program_id), None),
            Reference::Customer(it) => (Some(it.client_id), Some(it.program_id), None),
            Reference::SellerContact(it) => {
                (Some(it.client_id), Some(it.program_id), Some(it.seller_id))
            }
            Reference::ReportSchedule(it) => {
                (Some(it.client_id), Some(it.program_id), it.seller_id)
            }
        };
        Self {
            client,
            program,
            seller,
        }
    }

    fn parents(&self) -> impl Iterator<Item = (ReferenceKind, Uuid)> {
        let client = self.client.map(|id| (ReferenceKind::Client, id.uuid()));
        let program = self.program.map(|id| (ReferenceKind::Program, id.uuid()));
        let seller = self.seller.map(|id| (ReferenceKind::Seller, id.uuid()));
        client.into_iter().chain(program).chain(seller)
    }
}

impl Parents {
    /// Those that the file brings itself.
    fn of(seed: &Seed) -> Self {
        let brought = seed.references().filter_map(|reference| {
            let owner = owner(reference)?;
            Some(((reference.kind(), reference.id()), Some(owner)))
        });
        Self(brought.collect())
    }

    fn owner(&self, kind: ReferenceKind, id: Uuid) -> Option<Owner> {
        self.0.get(&(kind, id)).copied().flatten()
    }

    /// Why something cannot belong where it says.
    fn problem(&self, above: &Above) -> Option<String> {
        let missing = |kind: ReferenceKind, id: Uuid| {
            format!("there is no {kind} {id}, neither in the file nor in the tables")
        };
        for (kind, id) in above.parents() {
            if self.owner(kind, id).is_none() {
                return Some(missing(kind, id));
            }
        }
        let client = above.client?;
        let program = above.program?;
        let (of, _) = self.owner(ReferenceKind::Program, program.uuid())?;
        if of != client {
            return Some(format!(
                "the program {program} is of the client {of}, not of {client}"
            ));
        }
        let seller = above.seller?;
        let (_, of) = self.owner(ReferenceKind::Seller, seller.uuid())?;
        match of {
            Some(of) if of != program => Some(format!(
                "the seller {seller} is in the program {of}, not in {program}"
            )),
            _ => None,
        }
    }
}
