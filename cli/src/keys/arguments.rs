//! What can be typed after `weir keys`.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use uuid::Uuid;
use weir_domain::{ClientId, Permission, ProgramId, SellerId};

use crate::arguments::{EXIT_CODES, Output};

/// Longest name of a key, in characters.
const NAME_CHARS_MAX: usize = 100;
/// Longest time that a key can be given: ten years.
const EXPIRES_DAYS_MAX: u64 = 3_650;

const SETTINGS: &str = "\
The tables are reached with AWS credentials of your own, by the settings that the functions have:
AWS_REGION, WEIR_TABLE_PREFIX and, for the local system, those of its functions.env:
  set -a; . .weir/functions.env; set +a";

/// Make, list and revoke API keys, in the tables themselves
#[derive(Debug, Args)]
#[command(after_help = SETTINGS)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

/// A command about keys with its own arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Make a key and print it, this once
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Create {
    /// What the key is to be called, such as the system that will use it
    #[arg(long, value_parser = name)]
    pub(crate) name: String,

    /// What it may do; given once for each
    #[arg(
        long = "permission",
        value_name = "PERMISSION",
        value_parser = permissions(),
        required_unless_present = "all_read"
    )]
    pub(crate) permissions: Vec<Permission>,

    /// It may read everything within its scope
    #[arg(long)]
    pub(crate) all_read: bool,

    /// The client that it is limited to
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<ClientId>,

    /// The program of the client that it is limited to
    #[arg(long, value_name = "ID", requires = "client_id")]
    pub(crate) program_id: Option<ProgramId>,

    /// The seller of the program that it is limited to
    #[arg(long, value_name = "ID", requires = "program_id")]
    pub(crate) seller_id: Option<SellerId>,

    /// For how long it is valid, such as `12h` or `90d`; at most ten years [default: until revoked]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) expires_in: Option<Duration>,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// List the keys, none of which is shown itself
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Revoke a key; it stops within 60 s
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Revoke {
    /// The id that `weir keys list` shows
    pub(crate) id: Uuid,

    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// One of the permissions; what is none is refused with a list of them.
fn permissions() -> impl TypedValueParser<Value = Permission> {
    let names = Permission::ALL.iter().map(|permission| permission.name());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Permission>())
}

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let is_name =
        (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if is_name {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "must be 1 to {NAME_CHARS_MAX} characters, none of them a control character"
        ))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let read = || {
        let unit = text.chars().last()?;
        let number = text.strip_suffix(unit)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let minutes = match unit {
            'm' => 1,
            'h' => 60,
            'd' => 24 * 60,
            'w' => 7 * 24 * 60,
            _ => return None,
        };
        let minutes = number.parse::<u64>().ok()?.checked_mul(minutes)?;
        let is_valid = (1..=EXPIRES_DAYS_MAX * 24 * 60).contains(&minutes);
        is_valid.then(|| Duration::from_mins(minutes))
    };
    read().ok_or_else(|| {
        format!(
            "must be a number of minutes, hours, days or weeks such as 30m, 12h, 90d or 4w, at most \
             {EXPIRES_DAYS_MAX}d"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_its_unit_from_a_minute_to_ten_years() {
        for (text, minutes) in [
            ("1m", Some(1)),
            ("12h", Some(720)),
            ("90d", Some(129_600)),
            ("4w", Some(40_320)),
            ("3650d", Some(5_256_000)),
            ("3651d", None),
            ("5256001m", None),
            ("0m", None),
            ("0d", None),
            ("", None),
            ("d", None),
            ("90", None),
            ("90s", None),
            ("-1d", None),
            ("+1d", None),
            ("1.5d", None),
            ("1 d", None),
            ("1dd", None),
            ("1ü", None),
            ("18446744073709551615w", None),
            ("99999999999999999999d", None),
        ] {
            let expected = minutes.map(Duration::from_mins);
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_name_has_1_to_100_characters_that_can_be_shown() {
        for (text, expected) in [
            (" reports ", Some("reports".to_owned())),
            (&"ü".repeat(99), Some("ü".repeat(99))),
            (&"ü".repeat(100), Some("ü".repeat(100))),
            (&"ü".repeat(101), None),
            ("", None),
            ("  ", None),
            ("a\nb", None),
            ("a\u{1b}[2J", None),
        ] {
            assert_eq!(name(text).ok(), expected, "{text:?}");
        }
    }
}
