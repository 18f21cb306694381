//! A world to ask questions about: two clients with their programs, sellers, customers, files,
//! batches, details and what happened to them, all drawn from one seed and written as the functions
//! write it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use weir_domain::{
    Amount, BatchOrdinal, BatchStatus, ClientId, Counters, CustomerId, DetailEvent, DetailId,
    DetailStatus, EventNumber, FileId, FileStatus, LineNumber, MessageStatus, ObjectIdentity,
    ProgramId, ProgramStatus, ReportScope, ScheduleFrequency, SellerId, TransactionType, WeekDay,
};
use weir_runtime::Random;
use weir_store::{
    Batch, Call, Client, CounterChange, Customer, Detail, Event, File, FileContent, Message,
    Outcome, Payload, Program, PutBuffer, ReportSchedule, Seller, SellerContact, Stage, Store,
    shard_count_for,
};

/// What there is, by what callers can be narrowed to.
#[derive(Debug, Default)]
pub struct World {
    /// The clients.
    pub clients: Vec<ClientId>,
    /// The programs with their clients.
    pub programs: Vec<(ProgramId, ClientId)>,
    /// The sellers with their programs and clients.
    pub sellers: Vec<(SellerId, ProgramId, ClientId)>,
    /// The customers with their programs and clients.
    pub customers: Vec<(CustomerId, ProgramId, ClientId)>,
    /// The files with their programs and clients, where these are known.
    pub files: Vec<(FileId, Option<(ProgramId, ClientId)>)>,
    /// How many rows there are of each resource, by its name.
    pub counts: BTreeMap<&'static str, u64>,
}

/// How large a world is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Files.
    pub files: u32,
    /// Most batches of a file.
    pub batches_max: u64,
    /// Most details of a batch.
    pub details_max: u64,
}

/// Names that share beginnings and differ by case and script.
const NAMES: [&str; 6] = [
    "Contoso",
    "contoso",
    "Contoso Tires",
    "Überland",
    "Über",
    "東海運輸",
];

/// Draws what a world is made of.
struct Dice<'a> {
    random: &'a Random,
    now: DateTime<Utc>,
}

impl Dice<'_> {
    /// A number below `sides`.
    fn roll(&self, sides: u64) -> u64 {
        self.random.uuid_v4().as_u64_pair().1 % sides.max(1)
    }

    fn one_in(&self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn pick<'t, T>(&self, of: &'t [T]) -> &'t T {
        let count = u64::try_from(of.len()).unwrap();
        &of[usize::try_from(self.roll(count)).unwrap()]
    }

    fn id<T: TryFrom<Uuid>>(&self) -> T
    where
        T::Error: std::fmt::Debug,
    {
        self.random.uuid_v4().try_into().unwrap()
    }

    fn name(&self) -> String {
        (*self.pick(&NAMES)).to_owned()
    }

    fn sometimes<T>(&self, value: impl FnOnce() -> T) -> Option<T> {
        (!self.one_in(3)).then(value)
    }

    /// A moment at which reference data was made, some of it long ago.
    fn old_moment(&self) -> DateTime<Utc> {
        let moment = self.moment();
        if self.one_in(3) {
            moment - TimeDelta::days(2_600)
        } else {
            moment
        }
    }

    /// A moment of the last seventy days, so that several months are in play; some are shared.
    fn moment(&self) -> DateTime<Utc> {
        let day = self.now - TimeDelta::days(i64::try_from(1 + self.roll(70)).unwrap());
        let step = i64::try_from(self.roll(6)).unwrap();
        let day = DateTime::from_timestamp_millis(day.timestamp_millis() / 86_400_000 * 86_400_000);
        day.unwrap() + TimeDelta::milliseconds(step * 14_399_999)
    }
}

impl World {
    /// Makes a world.
    pub async fn make(store: &Store, random: &Random, now: DateTime<Utc>, size: Size) -> Self {
        let dice = Dice { random, now };
        let mut world = Self::default();
        world.references(store, &dice).await;
        world.messages(store, &dice).await;
        for number in 0..size.files {
            world.file(store, &dice, number, size).await;
        }
        world
    }

    fn count(&mut self, resource: &'static str) {
        *self.counts.entry(resource).or_default() += 1;
    }

    async fn references(&mut self, store: &Store, dice: &Dice<'_>) {
        for _ in 0..2 {
            let client = Client {
                id: dice.id(),
                name: dice.name(),
                processed_message_ts: dice.sometimes(|| dice.moment()),
                created_at: dice.old_moment(),
                updated_at: dice.moment(),
            };
            store.put_client(&client).await.unwrap();
            self.clients.push(client.id);
            self.count("client");
            for _ in 0..2 {
                self.program(store, dice, client.id).await;
            }
        }
    }

    async fn program(&mut self, store: &Store, dice: &Dice<'_>, client_id: ClientId) {
        let email = |name: &str| Some(format!("{name}@example.com"));
        let program = Program {
            id: dice.id(),
            client_id,
            name: dice.name(),
            status: *dice.pick(ProgramStatus::ALL),
            reply_to_email: email("reply"),
            support_email: dice.sometimes(|| email("support")).flatten(),
            sender_email: email("sender"),
            processed_message_ts: dice.sometimes(|| dice.moment()),
            created_at: dice.old_moment(),
            updated_at: dice.moment(),
        };
        store.put_program(&program).await.unwrap();
        self.programs.push((program.id, client_id));
        self.count("program");
        for number in 0..3 {
            self.customer(store, dice, &program).await;
            self.seller(store, dice, &program, number).await;
        }
        self.schedule(store, dice, &program, None).await;
    }

    async fn customer(&mut self, store: &Store, dice: &Dice<'_>, program: &Program) {
        let customer = Customer {
            id: dice.id(),
            client_id: program.client_id,
            program_id: program.id,
            name: dice.sometimes(|| dice.name()),
            processed_message_ts: dice.sometimes(|| dice.moment()),
            created_at: dice.old_moment(),
            updated_at: dice.moment(),
        };
        store.put_customer(&customer).await.unwrap();
        let owners = (customer.id, program.id, program.client_id);
        self.customers.push(owners);
        self.count("customer");
    }

    async fn seller(&mut self, store: &Store, dice: &Dice<'_>, program: &Program, number: u32) {
        let seller = Seller {
            id: dice.id(),
            client_id: program.client_id,
            program_id: program.id,
            alternate_seller_id: dice.sometimes(|| format!("ALT-{number}").parse().unwrap()),
            name: dice.name(),
            status: dice.sometimes(|| "Active".to_owned()),
            processed_message_ts: dice.sometimes(|| dice.moment()),
            created_at: dice.old_moment(),
            updated_at: dice.moment(),
        };
        store.put_seller(&seller).await.unwrap();
        self.sellers
            .push((seller.id, program.id, program.client_id));
        self.count("seller");
        let contact = SellerContact {
            id: dice.id(),
            client_id: program.client_id,
            program_id: program.id,
            seller_id: seller.id,
            name: dice.sometimes(|| dice.name()),
            email: Some("пошта@example.com".to_owned()),
            country: Some("UA".to_owned()),
            state: None,
            city: dice.sometimes(|| dice.name()),
            street: Some("1 Main Street".to_owned()),
            post_code: Some("01001".to_owned()),
            processed_message_ts: dice.sometimes(|| dice.moment()),
            created_at: dice.moment(),
            updated_at: dice.moment(),
        };
        store.put_seller_contact(&contact).await.unwrap();
        self.count("seller contact");
        self.schedule(store, dice, program, Some(seller.id)).await;
    }

    async fn schedule(
        &mut self,
        store: &Store,
        dice: &Dice<'_>,
        program: &Program,
        seller_id: Option<SellerId>,
    ) {
        let addresses = ["a@example.com", "b@example.com", "c@example.com"];
        let recipients = &addresses[..usize::try_from(1 + dice.roll(3)).unwrap()];
        let frequency = *dice.pick(ScheduleFrequency::ALL);
        let schedule = ReportSchedule {
            id: dice.id(),
            client_id: program.client_id,
            program_id: program.id,
            seller_id,
            report_id: dice.id(),
            report_scope: if seller_id.is_some() {
                ReportScope::Seller
            } else {
                ReportScope::Client
            },
            schedule_tz: "Europe/Berlin".to_owned(),
            schedule_frequency: frequency,
            schedule_week_day: (frequency == ScheduleFrequency::Weekly)
                .then(|| *dice.pick(WeekDay::ALL)),
            recipient_emails: recipients.iter().map(|email| (*email).to_owned()).collect(),
            last_scheduled_at: dice.sometimes(|| dice.moment()),
            created_at: dice.moment(),
            updated_at: dice.moment(),
        };
        store.put_report_schedule(&schedule).await.unwrap();
        self.count("report schedule");
    }

    async fn messages(&mut self, store: &Store, dice: &Dice<'_>) {
        for number in 0..12 {
            let status = *dice.pick(MessageStatus::ALL);
            let message = Message {
                id: dice.id(),
                correlation_id: format!("correlation-{}", dice.roll(3)),
                queue_url: "https://example.com/messages".to_owned(),
                group_id: dice.sometimes(|| dice.name()),
                subject: dice.sometimes(|| "seller.updated".to_owned()),
                body: format!("{{\"number\":{number}}}"),
                attributes: dice.sometimes(|| "{\"traceparent\":\"x\"}".to_owned()),
                status,
                error_log: (status == MessageStatus::Failed).then(|| "no type".to_owned()),
                failure_count: u32::try_from(dice.roll(3)).unwrap(),
                failed_at: dice.sometimes(|| dice.moment()),
                processed_at: dice.sometimes(|| dice.moment()),
                created_at: dice.moment(),
                updated_at: dice.moment(),
            };
            store.put_message(&message).await.unwrap();
            self.count("SQS message");
        }
    }

    async fn file(&mut self, store: &Store, dice: &Dice<'_>, number: u32, size: Size) {
        // Some files say by nothing whose they are, and some name a program that there is not.
        let known = (!dice.one_in(6)).then(|| *dice.pick(&self.programs));
        let is_sound = known.is_some() && !dice.one_in(6);
        let owner = match known {
            Some((_, client)) if !is_sound => Some((dice.id(), client)),
            known => known,
        };
        let object = ObjectIdentity::new("bucket", format!("{number}.xml"), &dice.id_text());
        // A file that is refused keeps what it was counted to hold, and holds nothing.
        let batch_count = u32::try_from(dice.roll(size.batches_max + 1)).unwrap();
        let created_at = dice.moment();
        let failed = !is_sound;
        let file = File {
            id: FileId::of_object(&object),
            version: 1,
            content: FileContent::Object(object),
            name: format!("{}-{number}.xml", dice.name()),
            client_id: owner.map(|(_, client)| client),
            program_id: owner.map(|(program, _)| program),
            seller_id: None,
            correlation_id: format!("correlation-{}", dice.roll(3)),
            status: if failed {
                FileStatus::Error
            } else {
                FileStatus::Processed
            },
            stage: Stage::Done,
            checkpoint: None,
            lease_until: None,
            retry_count: u32::try_from(dice.roll(3)).unwrap(),
            stalled_count: 0,
            batch_count,
            detail_count: 0,
            repeated_numbers: Vec::new(),
            error_log: failed.then(|| "whose it is cannot be told".to_owned()),
            error_at: failed.then_some(created_at),
            processed_at: (!failed).then_some(created_at),
            created_at,
            updated_at: created_at,
        };
        store.create_file(&file).await.unwrap();
        self.files.push((file.id, owner));
        self.count("file");
        for ordinal in 1..=if failed { 0 } else { batch_count } {
            self.batch(store, dice, &file, ordinal, size).await;
        }
    }

    async fn batch(
        &mut self,
        store: &Store,
        dice: &Dice<'_>,
        file: &File,
        ordinal: u32,
        size: Size,
    ) {
        let program = file.program_id.unwrap();
        let of_program = |(_, of, _): &&(SellerId, ProgramId, ClientId)| *of == program;
        let sellers: Vec<_> = self.sellers.iter().filter(of_program).copied().collect();
        // A batch whose seller is not known has no details.
        let seller = (!dice.one_in(8)).then(|| dice.pick(&sellers).0);
        let detail_count = match seller {
            Some(_) => u32::try_from(dice.roll(size.details_max + 1)).unwrap(),
            None => 0,
        };
        let id = file.id.batch(BatchOrdinal::new(ordinal).unwrap());
        // All of a file is made at one moment, a little after the file was found.
        let made_at = file.created_at + TimeDelta::milliseconds(1_500);
        let lines = (1..=detail_count).map(|line| LineNumber::new(line).unwrap());
        let details: Vec<Detail> = lines
            .map(|line| self.detail(dice, id.detail(line), made_at))
            .collect();
        let in_error = details
            .iter()
            .filter(|detail| detail.status == DetailStatus::Error);
        let error = u64::try_from(in_error.count()).unwrap();
        let counters = Counters {
            details: detail_count.into(),
            unprocessed: u64::from(detail_count) - error,
            error,
            draft: 0,
            cancelled: 0,
        };
        let batch = Batch {
            id,
            client_id: file.client_id.unwrap(),
            program_id: program,
            seller_id: seller,
            seller_name: seller.map(|_| dice.name()),
            batch_number: format!("B-{}", dice.roll(5)),
            currency: Some("USD".parse().unwrap()),
            header_xml: format!("<BatchHeader><BatchNumber>{ordinal}</BatchNumber></BatchHeader>"),
            byte_start: 0,
            byte_end: 1,
            shards: shard_count_for(detail_count),
            counters,
            status: BatchStatus::of(&counters),
            correlation_id: file.correlation_id.clone(),
            error_log: seller
                .is_none()
                .then(|| "the seller is not known".to_owned()),
            error_at: seller.is_none().then_some(made_at),
            processed_at: None,
            created_at: made_at,
            updated_at: made_at,
            user_updated_at: dice.one_in(3).then(|| dice.moment()),
            user_updated_by: dice.one_in(3).then(|| dice.name()),
            task: None,
            last_task: None,
        };
        let mut puts = PutBuffer::new(store, 4);
        for detail in &details {
            let payload = payload(detail);
            let seller = seller.unwrap();
            puts.put_detail(&batch.place(), seller, detail, &payload)
                .await
                .unwrap();
            self.count("batch detail");
        }
        puts.flush().await.unwrap();
        store.create_batch(&batch).await.unwrap();
        self.count("batch");
        for detail in details {
            self.events(store, dice, &batch, detail).await;
        }
    }

    fn detail(&self, dice: &Dice<'_>, id: DetailId, made_at: DateTime<Utc>) -> Detail {
        let failed = dice.one_in(5);
        let customer = dice.pick(&self.customers).0;
        Detail {
            id,
            version: 1,
            status: if failed {
                DetailStatus::Error
            } else {
                DetailStatus::Unprocessed
            },
            transaction_type: *dice.pick(TransactionType::ALL),
            order_number: dice.sometimes(|| format!("ORDER-{}", dice.roll(9))),
            po_number: dice.sometimes(|| format!("PO-{}", dice.roll(9))),
            amount: dice.sometimes(|| {
                Amount::from_minor(i64::try_from(1 + dice.roll(30)).unwrap()).unwrap()
            }),
            currency: Some(dice.pick(&["USD", "EUR", "JPY"]).parse().unwrap()),
            buyer_id: None,
            customer_id: dice.sometimes(|| customer),
            vehicle_odometer: dice.sometimes(|| dice.roll(4).to_string()),
            vehicle_identification_number: dice.sometimes(|| dice.name()),
            vehicle_unit_number: dice.sometimes(|| dice.name()),
            charge_id: None,
            refund_id: None,
            request_version: u32::from(!failed),
            events: 0,
            retry_count: 0,
            draft_version: None,
            payload_versions: 1,
            waiting_since: None,
            next_attempt_at: None,
            lease_until: None,
            attempted_at: None,
            answered_in: None,
            created_at: made_at,
            updated_at: made_at,
            processed_at: None,
            error_code: failed.then(|| "bcs.format_invalid".to_owned()),
            error_description: failed.then(|| format!("line {}, column 1", id.line().get())),
            error_at: failed.then_some(made_at),
            user_updated_at: None,
            user_updated_by: None,
            changed_in: None,
        }
    }

    /// What happens to a detail: some are left as they are, some are tried once or twice.
    async fn events(&mut self, store: &Store, dice: &Dice<'_>, batch: &Batch, mut detail: Detail) {
        for _ in 0..dice.roll(3) {
            let event = match dice.roll(3) {
                0 => DetailEvent::Accepted,
                1 => DetailEvent::Rejected,
                _ => DetailEvent::Failed,
            };
            let Ok(status) = detail.status.after(event) else {
                return;
            };
            let before = detail.clone();
            detail.status = status;
            detail.version += 1;
            detail.events += 1;
            detail.updated_at += TimeDelta::milliseconds(i64::try_from(dice.roll(9)).unwrap());
            let calls: Vec<Call> = (0..dice.roll(3)).map(|_| call(dice, &detail)).collect();
            if calls.iter().any(|call| call.response.is_some()) {
                detail.answered_in = EventNumber::new(detail.events).ok();
            }
            if event == DetailEvent::Accepted {
                let charge = dice.id();
                let mut puts = PutBuffer::new(store, 1);
                puts.put_charge(charge, &detail).await.unwrap();
                puts.flush().await.unwrap();
                detail.charge_id = Some(charge);
                detail.processed_at = Some(detail.updated_at);
            } else {
                detail.error_code = Some("unavailable".to_owned());
                detail.error_description = Some("try again".to_owned());
                detail.error_at = Some(detail.updated_at);
                detail.retry_count += 1;
            }
            for _ in &calls {
                self.count("batch detail log");
            }
            self.count("batch detail history");
            record(store, dice, batch, &before, &detail, event, calls).await;
        }
    }
}

impl Dice<'_> {
    fn id_text(&self) -> String {
        self.random.uuid_v4().to_string()
    }
}

fn payload(detail: &Detail) -> Payload {
    let line = detail.line().get();
    // Some are too long for a cursor to hold.
    let comment = "x".repeat(if line.is_multiple_of(3) { 1_100 } else { 0 });
    Payload {
        xml: format!(
            "<{}><OrderNumber>{}</OrderNumber><Line>{line}</Line>{comment}</{0}>",
            detail.transaction_type,
            detail.order_number.as_deref().unwrap_or("=none")
        ),
        request: match detail.request_version {
            0 => String::new(),
            _ => format!("{{\"line\":{line}}}"),
        },
    }
}

fn call(dice: &Dice<'_>, detail: &Detail) -> Call {
    let answered = !dice.one_in(3);
    Call {
        at: detail.updated_at,
        duration_ms: dice.roll(500),
        request_version: detail.request_version,
        response_status: answered.then(|| *dice.pick(&[200_u16, 400, 503])),
        response: answered.then(|| format!("{{\"answer\":{}}}", dice.roll(4))),
        failure: (!answered).then(|| "no answer came".to_owned()),
    }
}

async fn record(
    store: &Store,
    dice: &Dice<'_>,
    batch: &Batch,
    before: &Detail,
    detail: &Detail,
    event: DetailEvent,
    calls: Vec<Call>,
) {
    let is_open = |detail: &Detail| {
        i64::from(matches!(
            detail.status,
            DetailStatus::Unprocessed | DetailStatus::Retry
        ))
    };
    let in_error = |detail: &Detail| i64::from(detail.status == DetailStatus::Error);
    let change = CounterChange {
        unprocessed: is_open(detail) - is_open(before),
        error: in_error(detail) - in_error(before),
        at: detail.updated_at,
        ..CounterChange::default()
    };
    let outcome = Outcome {
        leased_version: before.version,
        event: Event {
            name: event.name().to_owned(),
            actor: None,
            correlation_id: format!("work-{}", dice.roll(3)),
            calls,
            detail: detail.clone(),
        },
    };
    store
        .record_outcomes(batch, &[outcome], &change)
        .await
        .unwrap();
}
