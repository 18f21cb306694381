//! What the bodies of requests that change reference data hold.

use crate::schema::{BodySchema, MemberRule, optional, required};

const NAME: MemberRule = MemberRule::Text {
    chars_min: 1,
    chars_max: Some(1_024),
};
const ADDRESS: MemberRule = MemberRule::Email { chars_max: 200 };

/// The body of a client.
pub(super) static CLIENT_BODY: BodySchema = BodySchema {
    name: "client",
    members: &[required("name", NAME, "Its name")],
};

/// The body of a program.
pub(super) static PROGRAM_BODY: BodySchema = BodySchema {
    name: "program",
    members: &[
        required("name", NAME, "Its name"),
        required(
            "status",
            MemberRule::OneOf(&["Created", "Active", "Inactive", "Terminated", "Archived"]),
            "Where it stands",
        ),
        required("reply_to_email", ADDRESS, "Where answers to its mail go"),
        required("support_email", ADDRESS, "Where its people are helped"),
        required("sender_email", ADDRESS, "Where its mail comes from"),
    ],
};

/// The body of a seller.
pub(super) static SELLER_BODY: BodySchema = BodySchema {
    name: "seller",
    members: &[
        optional(
            "alternate_seller_id",
            MemberRule::Text {
                chars_min: 1,
                chars_max: Some(50),
            },
            "The client's own id of it, which no other seller of the program has",
        ),
        required("name", NAME, "Its name"),
    ],
};

/// The body of a customer.
pub(super) static CUSTOMER_BODY: BodySchema = BodySchema {
    name: "customer",
    members: &[optional("name", NAME, "Its name")],
};

/// The body of a report's schedule.
pub(super) static SCHEDULE_BODY: BodySchema = BodySchema {
    name: "report schedule",
    members: &[
        required("report_id", MemberRule::Id, "The report"),
        required(
            "schedule_tz",
            MemberRule::Text {
                chars_min: 0,
                chars_max: None,
            },
            "The time zone whose days it goes by: of the IANA database, or GMT with an offset, such \
             as GMT+10, which is ten hours ahead of UTC",
        ),
        required(
            "schedule_frequency",
            MemberRule::OneOf(&["Daily", "Weekly", "Monthly"]),
            "How often it is due",
        ),
        optional(
            "schedule_week_day",
            MemberRule::OneOf(&[
                "Sunday",
                "Monday",
                "Tuesday",
                "Wednesday",
                "Thursday",
                "Friday",
                "Saturday",
            ]),
            "The day of a weekly one; no other has one",
        ),
        required("recipient_emails", MemberRule::Emails, "Who gets it"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use weir_domain::{AlternateSellerId, ProgramStatus, ScheduleFrequency, WeekDay};

    fn words(schema: &BodySchema, name: &str) -> Vec<&'static str> {
        let member = schema.members.iter().find(|member| member.name == name);
        match member.unwrap().rule {
            MemberRule::OneOf(words) => words.to_vec(),
            rule => panic!("{rule:?}"),
        }
    }

    #[test]
    fn the_words_of_a_member_are_those_of_its_type() {
        let names: Vec<_> = ProgramStatus::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(words(&PROGRAM_BODY, "status"), names);
        let names: Vec<_> = ScheduleFrequency::ALL
            .iter()
            .map(|one| one.name())
            .collect();
        assert_eq!(words(&SCHEDULE_BODY, "schedule_frequency"), names);
        let names: Vec<_> = WeekDay::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(words(&SCHEDULE_BODY, "schedule_week_day"), names);
    }

    #[test]
    fn an_alternate_id_has_the_length_of_its_type() {
        let member = SELLER_BODY.members.first().unwrap();
        assert_eq!(
            member.rule,
            MemberRule::Text {
                chars_min: 1,
                chars_max: Some(AlternateSellerId::CHARACTERS_MAX),
            }
        );
    }

    #[test]
    fn a_length_is_counted_in_characters() {
        for (count, is_good) in [(0, false), (1, true), (1_024, true), (1_025, false)] {
            let body = serde_json::json!({"name": "ü".repeat(count)});
            let checked = CLIENT_BODY.check(body.as_object().unwrap());
            assert_eq!(checked.is_ok(), is_good, "{count}");
        }
    }
}
