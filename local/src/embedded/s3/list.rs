//! Pages of a bucket's list, with keys grouped up to a delimiter.
//!
//! Invariant: the pages of a list hold every key and every group exactly once, whatever their size.

use std::collections::BTreeSet;

use s3s::S3Result;
use s3s::dto::{CommonPrefix, ListObjectsV2Input, ListObjectsV2Output, Object};

use super::folder::Folder;

/// A page has at most so many entries.
const PAGE_MAX: i32 = 1_000;

/// The page that is asked for.
pub(super) fn page(folder: &Folder, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let count_max = input.max_keys.unwrap_or(PAGE_MAX).clamp(0, PAGE_MAX);
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|text| !text.is_empty());
    let token = input.continuation_token.as_deref();
    let after = token.or(input.start_after.as_deref()).unwrap_or_default();
    let mut contents = Vec::new();
    let mut groups = BTreeSet::new();
    let mut last = None;
    let mut count = 0;
    let mut is_truncated = false;
    folder.walk(&input.bucket, prefix, after, |record| {
        let group = delimiter.and_then(|delimiter| group_of(&record.key, prefix, delimiter));
        // The token of a page that ended with a group stands for all keys of the group.
        if group.is_some_and(|group| groups.contains(group) || Some(group) == token) {
            return true;
        }
        if count >= count_max {
            is_truncated = count_max > 0;
            return false;
        }
        count += 1;
        last = Some(group.unwrap_or(&record.key).to_owned());
        if let Some(group) = group {
            groups.insert(group.to_owned());
        } else {
            contents.push(Object {
                key: Some(record.key.clone()),
                e_tag: Some(record.etag()),
                size: i64::try_from(record.size_bytes).ok(),
                last_modified: Some(record.modified()),
                ..Object::default()
            });
        }
        true
    })?;
    let groups = groups.into_iter().map(|prefix| CommonPrefix {
        prefix: Some(prefix),
    });
    Ok(ListObjectsV2Output {
        key_count: Some(count),
        is_truncated: Some(is_truncated),
        next_continuation_token: last.filter(|_| is_truncated),
        contents: Some(contents),
        common_prefixes: Some(groups.collect()),
        max_keys: Some(count_max),
        name: Some(input.bucket),
        prefix: input.prefix,
        delimiter: input.delimiter,
        continuation_token: input.continuation_token,
        start_after: input.start_after,
        ..ListObjectsV2Output::default()
    })
}

/// The part of `key` up to the first delimiter after the prefix, if there is one.
fn group_of<'a>(key: &'a str, prefix: &str, delimiter: &str) -> Option<&'a str> {
    let rest = key.get(prefix.len()..)?;
    let end = prefix.len() + rest.find(delimiter)? + delimiter.len();
    key.get(..end)
}
