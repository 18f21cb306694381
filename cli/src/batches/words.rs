//! What an action is called, what it is for, and what it would change, in words.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_domain::{BatchAction, BatchStatus, Currency, DetailStatus, TransactionType};

use super::act::Wish;
use crate::api::{NamedDetail, Standing};
use crate::text::{Align, Paint, Table, append, cell, counted, grouped, grouped_decimal, plain};

/// Most details that a preview lists.
const DETAILS_SHOWN_MAX: usize = 20;

/// What JSON documents call it.
pub(super) fn name(action: BatchAction) -> &'static str {
    match action {
        BatchAction::Cancel => "cancel",
        BatchAction::Retry => "retry",
        BatchAction::Revive => "retry_cancelled",
        BatchAction::ConfirmDrafts => "confirm_drafts",
        BatchAction::CancelDrafts => "discard_drafts",
        BatchAction::Retake => "take_again",
    }
}

/// What people call it.
pub(super) fn noun(action: BatchAction) -> &'static str {
    match action {
        BatchAction::Cancel => "cancel",
        BatchAction::Retry => "retry",
        BatchAction::Revive => "retry of what was cancelled",
        BatchAction::ConfirmDrafts => "confirmation of drafts",
        BatchAction::CancelDrafts => "discarding of drafts",
        BatchAction::Retake => "new taking from the file",
    }
}

/// What is shown while it goes on.
pub(super) fn going_on(action: BatchAction) -> &'static str {
    match action {
        BatchAction::Cancel => "cancelling",
        BatchAction::Retry | BatchAction::Revive => "retrying",
        BatchAction::ConfirmDrafts => "confirming drafts",
        BatchAction::CancelDrafts => "discarding drafts",
        BatchAction::Retake => "taking again",
    }
}

/// How many details of a whole batch it may be for, and so how many are left while it goes on.
pub(super) fn left(action: BatchAction, standing: &Standing) -> u64 {
    let batch = &standing.batch;
    match action {
        BatchAction::Cancel => batch
            .batch_detail_unprocessed_count
            .saturating_add(batch.batch_detail_error_count),
        BatchAction::Retry => batch.batch_detail_error_count,
        BatchAction::Revive => batch.batch_detail_cancelled_count,
        BatchAction::ConfirmDrafts | BatchAction::CancelDrafts => standing.batch_detail_draft_count,
        // The batch itself.
        BatchAction::Retake => 1,
    }
}

/// That there is nothing that it is for.
pub(super) fn nothing(wish: &Wish) -> String {
    let what = match wish.action {
        BatchAction::Cancel => "is unprocessed or in error",
        BatchAction::Retry | BatchAction::Retake => "is in error",
        BatchAction::Revive => "is cancelled",
        BatchAction::ConfirmDrafts | BatchAction::CancelDrafts => "has a draft",
    };
    let label = plain(&wish.before.batch.label());
    format!("Nothing to do: no detail of batch {label} {what}.")
}

/// What was done.
pub(super) fn done(wish: &Wish) -> String {
    let (noun, label) = (noun(wish.action), plain(&wish.before.batch.label()));
    if wish.named.is_empty() {
        format!("{noun}, batch {label}")
    } else {
        let details = counted(count(wish.named.len()), "detail", "details");
        format!("{noun}, {details} of batch {label}")
    }
}

/// What is asked.
pub(super) fn question(wish: &Wish) -> String {
    let is_whole = wish.named.is_empty();
    let what = if is_whole { "all of that" } else { "these" };
    match wish.action {
        BatchAction::Cancel => format!("Cancel {what}?"),
        BatchAction::Retry | BatchAction::Revive => format!("Send {what} again?"),
        BatchAction::ConfirmDrafts => format!("Send {what} as drafted?"),
        BatchAction::CancelDrafts => "Discard these drafts?".to_owned(),
        BatchAction::Retake => "Take the batch again?".to_owned(),
    }
}

/// What would change, each line ended.
pub(super) fn preview(wish: &Wish) -> String {
    let Standing { batch, .. } = &wish.before;
    let mut text = format!(
        "Batch {} of {}: {}\n",
        plain(&batch.label()),
        plain(&batch.seller()),
        counts(&wish.before)
    );
    if wish.named.is_empty() {
        append(&mut text, format_args!("{}\n", whole(wish)));
    } else {
        text.push_str(&named(wish));
    }
    text
}

fn counts(standing: &Standing) -> String {
    let batch = &standing.batch;
    let details = counted(batch.batch_detail_count, "detail", "details");
    let mut said = vec![];
    for (number, what) in [
        (batch.batch_detail_unprocessed_count, "unprocessed"),
        (batch.processed_count(), "processed"),
        (batch.batch_detail_error_count, "in error"),
        (batch.batch_detail_cancelled_count, "cancelled"),
        (standing.batch_detail_draft_count, "with a draft"),
    ] {
        if number > 0 {
            said.push(format!("{} {what}", grouped(number)));
        }
    }
    if said.is_empty() {
        details
    } else {
        format!("{details}: {}", said.join(", "))
    }
}

fn whole(wish: &Wish) -> String {
    let left = left(wish.action, &wish.before);
    let details = counted(left, "detail", "details");
    match wish.action {
        BatchAction::Cancel => format!(
            "To be cancelled: {details}, all that are unprocessed or in error. Calls that are on their \
             way to 3Rivers are let end."
        ),
        BatchAction::Retry => format!(
            "To be sent again: {details} in error, but for those with a draft, without a request, or \
             with a call that may have been taken."
        ),
        BatchAction::Revive => format!(
            "To be sent after all: {details} that were cancelled, but for those with a draft or \
             without a request."
        ),
        BatchAction::ConfirmDrafts => format!(
            "To be sent as drafted: {details} with a draft, but for those that are cancelled."
        ),
        BatchAction::CancelDrafts => {
            format!("To lose their drafts, and stay as they are: {details}.")
        }
        BatchAction::Retake => {
            let why = wish
                .before
                .batch
                .error_log
                .as_deref()
                .unwrap_or("no reason is known");
            format!(
                "To be taken again from its file: it could not be taken ({}).",
                plain(why)
            )
        }
    }
}

fn named(wish: &Wish) -> String {
    let mut columns = vec![("Detail", Align::Left), ("Type", Align::Left)];
    columns.extend([
        ("Order", Align::Left),
        ("Status", Align::Left),
        ("Amount", Align::Right),
    ]);
    let mut table = Table::uncut(columns);
    for named in wish.named.iter().take(DETAILS_SHOWN_MAX) {
        let detail = &named.detail;
        let amount = amount_of(named);
        let amount = amount.map(|(minor, currency)| money(minor.into(), &currency));
        table.row(vec![
            cell(detail.id.to_string()),
            cell(detail.transaction_type.map_or("-", TransactionType::name)),
            cell(plain(detail.order_number.as_deref().unwrap_or("-"))),
            cell(detail.status.name()),
            cell(amount.unwrap_or_else(|| "-".to_owned())),
        ]);
    }
    let mut text = table.render(Paint(false));
    let more = wish.named.len().saturating_sub(DETAILS_SHOWN_MAX);
    if more > 0 {
        append(
            &mut text,
            format_args!("… and {} more\n", grouped(count(more))),
        );
    }
    let mut by_status: BTreeMap<DetailStatus, u64> = BTreeMap::new();
    let mut sums: BTreeMap<(&str, String), i128> = BTreeMap::new();
    for named in &wish.named {
        *by_status.entry(named.detail.status).or_default() += 1;
        if let (Some((minor, currency)), Some(kind)) =
            (amount_of(named), named.detail.transaction_type)
        {
            *sums.entry((kind.name(), currency)).or_default() += i128::from(minor);
        }
    }
    let statuses = by_status
        .iter()
        .map(|(status, n)| format!("{} {status}", grouped(*n)));
    let statuses: Vec<_> = statuses.collect();
    let sums = sums.iter().map(|((kind, currency), minor)| {
        let kind = kind.to_lowercase();
        format!("{} of {kind}s", money(*minor, currency))
    });
    let sums: Vec<_> = sums.collect();
    let details = counted(count(wish.named.len()), "detail", "details");
    let sums = if sums.is_empty() {
        String::new()
    } else {
        format!("; {}", sums.join(", "))
    };
    append(
        &mut text,
        format_args!("In all {details}: {}{sums}\n", statuses.join(", ")),
    );
    text
}

/// What would be charged or refunded in minor units, and the currency: of the draft, where that is
/// what is looked at.
fn amount_of(named: &NamedDetail) -> Option<(i64, String)> {
    let draft = named.draft_request_data.as_deref();
    let draft: Option<Value> = draft.and_then(|draft| serde_json::from_str(draft).ok());
    let drafted = |field: &str| draft.as_ref().and_then(|draft| draft.get(field));
    let minor = drafted("total_amount")
        .and_then(Value::as_i64)
        .or(named.amount)?;
    let currency = drafted("currency")
        .and_then(Value::as_str)
        .map(str::to_owned);
    Some((minor, currency.or_else(|| named.currency.clone())?))
}

/// Minor units in major ones, exactly.
fn money(minor: i128, code: &str) -> String {
    let Ok(currency) = Currency::try_from(code.to_owned()) else {
        return format!("{minor} minor units of {}", plain(code));
    };
    let decimals = usize::from(currency.decimals());
    let digits = format!("{:0>width$}", minor.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let sign = if minor < 0 { "-" } else { "" };
    let point = if decimals == 0 { "" } else { "." };
    let amount = grouped_decimal(&format!("{whole}{point}{fraction}"));
    format!("{sign}{amount} {code}")
}

/// What a person may want to do next.
pub(super) fn hints(wish: &Wish, after: &Standing) -> Vec<String> {
    let batch = &after.batch;
    let mut hints = Vec::new();
    if wish.action == BatchAction::Cancel && wish.named.is_empty() && batch.is_in_error() {
        let left = counted(batch.batch_detail_error_count, "detail", "details");
        hints.push(format!(
            "A call of {left} in error may have been taken: look them up at 3Rivers, then retry them by \
             their ids with --looked-up, or cancel them by their ids."
        ));
    }
    // Whoever has just withdrawn a batch does not want its drafts sent.
    if after.batch_detail_draft_count > 0 && wish.action != BatchAction::Cancel {
        let drafts = counted(after.batch_detail_draft_count, "draft waits", "drafts wait");
        let id = batch.id;
        hints.push(format!(
            "{drafts}: weir drafts confirm {id}, or weir drafts discard {id}"
        ));
    }
    if batch.status == BatchStatus::Unprocessed {
        hints.push(format!(
            "Follow it with: weir status {} --watch",
            after.file_id
        ));
    }
    hints
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
