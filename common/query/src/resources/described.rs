//! What each kind of reference data has, and what its lists are narrowed by.

use super::reports::FREQUENCIES;
use crate::schema::{ANY_TEXT, Field, Parameter, Resource, Rule, text};

const PROGRAM_STATUSES: &[&str] = &["Created", "Active", "Inactive", "Terminated", "Archived"];
const SCOPES: &[&str] = &["Client", "Seller"];
const WEEK_DAYS: &[&str] = &[
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
/// An address of at most 200 characters.
const ADDRESS: Rule = Rule::Text {
    chars_min: 0,
    chars_max: Some(200),
    begins_with: "",
};

/// A client: an answer to `/v1/clients`.
pub static CLIENT: Resource = Resource {
    name: "client",
    is_in_order_of_creation: true,
    fields: &[
        Field::id("id", "The client"),
        Field::text("name", "Its name"),
        PROCESSED_MESSAGE,
        CREATED,
        UPDATED,
    ],
    parameters: &[
        Parameter::by("id", Rule::Id),
        Parameter::of("client_id", "id", Rule::Id),
        Parameter::by("name", text(1_024)),
        Parameter::by("processed_message_ts", Rule::Time),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
    ],
};

/// A program: an answer to `/v1/programs`.
pub static PROGRAM: Resource = Resource {
    name: "program",
    is_in_order_of_creation: true,
    fields: &[
        Field::id("id", "The program"),
        OF_CLIENT,
        Field::text("name", "Its name"),
        Field::one_of("status", PROGRAM_STATUSES, "Where it stands"),
        Field::text("reply_to_email", "Where answers to its mail go"),
        Field::text("support_email", "Where its people are helped"),
        Field::text("sender_email", "Where its mail comes from"),
        PROCESSED_MESSAGE,
        CREATED,
        UPDATED,
    ],
    parameters: &[
        Parameter::by("client_id", Rule::Id),
        Parameter::by("id", Rule::Id),
        Parameter::of("program_id", "id", Rule::Id),
        Parameter::by("name", text(1_024)),
        Parameter::by("status", Rule::OneOf(PROGRAM_STATUSES)),
        Parameter::by("reply_to_email", ADDRESS),
        Parameter::by("support_email", ADDRESS),
        Parameter::by("sender_email", ADDRESS),
        Parameter::by("processed_message_ts", Rule::Time),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
    ],
};

/// A seller: an answer to `/v1/sellers`.
pub static SELLER: Resource = Resource {
    name: "seller",
    is_in_order_of_creation: true,
    fields: &[
        Field::id("id", "The seller at 3Rivers"),
        OF_CLIENT,
        OF_PROGRAM,
        Field::text("alternate_seller_id", "The client's own id of it"),
        Field::text("name", "Its name"),
        Field::text("status", "Where it stands, as its messages say"),
        PROCESSED_MESSAGE,
        CREATED,
        UPDATED,
    ],
    parameters: &[
        Parameter::by("client_id", Rule::Id),
        Parameter::by("program_id", Rule::Id),
        Parameter::by("id", Rule::Id),
        Parameter::of("seller_id", "id", Rule::Id),
        Parameter::by("alternate_seller_id", text(50)),
        Parameter::by("name", text(1_024)),
        Parameter::by("processed_message_ts", Rule::Time),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
    ],
};

/// A customer: an answer to `/v1/customers`.
pub static CUSTOMER: Resource = Resource {
    name: "customer",
    is_in_order_of_creation: true,
    fields: &[
        Field::id("id", "The customer"),
        OF_CLIENT,
        OF_PROGRAM,
        Field::text("name", "Its name"),
        CREATED,
        UPDATED,
        PROCESSED_MESSAGE,
    ],
    parameters: &[
        Parameter::by("id", Rule::Id),
        Parameter::of("customer_id", "id", Rule::Id),
        Parameter::by("client_id", Rule::Id),
        Parameter::by("program_id", Rule::Id),
        Parameter::by("name", text(1_024)),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
        Parameter::by("processed_message_ts", Rule::Time),
    ],
};

/// A seller's contact: an answer to `/v1/sellercontacts`.
pub static SELLER_CONTACT: Resource = Resource {
    name: "seller contact",
    is_in_order_of_creation: true,
    fields: &[
        Field::id("id", "The contact"),
        OF_CLIENT,
        OF_PROGRAM,
        Field::id("seller_id", "The seller it is of"),
        Field::text("name", "Its name"),
        Field::text("email", "Its address"),
        Field::text("country", "The country"),
        Field::text("state", "The state"),
        Field::text("city", "The city"),
        Field::text("street", "The street and number"),
        Field::text("post_code", "The post code"),
        PROCESSED_MESSAGE,
        CREATED,
        UPDATED,
    ],
    parameters: &[
        Parameter::by("client_id", Rule::Id),
        Parameter::by("program_id", Rule::Id),
        Parameter::by("seller_id", Rule::Id),
        Parameter::by("id", Rule::Id),
        Parameter::of("seller_contact_id", "id", Rule::Id),
        Parameter::by("name", text(1_024)),
        Parameter::by("email", ANY_TEXT),
        Parameter::by("country", ANY_TEXT),
        Parameter::by("state", ANY_TEXT),
        Parameter::by("city", ANY_TEXT),
        Parameter::by("street", ANY_TEXT),
        Parameter::by("post_code", ANY_TEXT),
        Parameter::by("processed_message_ts", Rule::Time),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
    ],
};

/// A report schedule: an answer to `/v1/reportschedules`.
pub static REPORT_SCHEDULE: Resource = Resource {
    name: "report schedule",
    is_in_order_of_creation: true,
    fields: &[
        Field::id("id", "The schedule"),
        OF_CLIENT,
        OF_PROGRAM,
        Field::id(
            "seller_id",
            "The seller whose report it is; absent on a client's",
        ),
        Field::id("report_id", "The report"),
        Field::one_of(
            "report_scope",
            SCOPES,
            "Whether it is about the client or one seller",
        ),
        Field::text("schedule_tz", "The time zone whose days it goes by"),
        Field::one_of("schedule_frequency", FREQUENCIES, "How often it is due"),
        Field::one_of("schedule_week_day", WEEK_DAYS, "The day of a weekly one"),
        Field::several("recipient_emails", &[], "Who gets it"),
        Field::time("last_scheduled_at", "When it was last due"),
        CREATED,
        UPDATED,
    ],
    parameters: &[
        Parameter::by("id", Rule::Id),
        Parameter::of("report_schedule_id", "id", Rule::Id),
        Parameter::by("client_id", Rule::Id),
        Parameter::by("program_id", Rule::Id),
        Parameter::by("seller_id", Rule::Id),
        Parameter::by("report_id", Rule::Id),
        Parameter::by("report_scope", Rule::OneOf(SCOPES)),
        Parameter::by("schedule_tz", ANY_TEXT),
        Parameter::by("schedule_frequency", Rule::OneOf(FREQUENCIES)),
        Parameter::by("schedule_week_day", Rule::OneOf(WEEK_DAYS)),
        Parameter::by("recipient_emails", Rule::Emails),
        Parameter::by("last_scheduled_at", Rule::Time),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
    ],
};

const OF_CLIENT: Field = Field::id("client_id", "The client it belongs to");
const OF_PROGRAM: Field = Field::id("program_id", "The program it belongs to");
const PROCESSED_MESSAGE: Field = Field::time(
    "processed_message_ts",
    "When the newest message about it was sent",
);
const CREATED: Field = Field::time("created_at", "When it was made");
const UPDATED: Field = Field::time("updated_at", "When it last changed");
