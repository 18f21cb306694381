//! `weir keys create`

use chrono::{TimeDelta, Utc};
use weir_domain::Permission;
use weir_store::{ApiKeyHash, ApiKeyRecord, Store};

use super::arguments::Create;
use super::shown;
use crate::failure::{EXIT_WELL, Failure};
use crate::text::{Paint, append, plain};
use crate::{Outside, Report};

/// Makes a key and gives it away.
pub(super) async fn run(
    arguments: &Create,
    store: &Store,
    outside: &Outside<'_>,
) -> Result<Report, Failure> {
    check_scope(arguments, store).await?;
    let now = outside.clock.now();
    let lasts = arguments.expires_in.map(TimeDelta::from_std);
    let expires_at = match lasts {
        None => None,
        // Ten years are far from either limit.
        Some(lasts) => lasts.ok().and_then(|lasts| now.checked_add_signed(lasts)),
    };
    let record = ApiKeyRecord {
        id: outside.random.uuid_v7(now),
        name: arguments.name.clone(),
        permissions: permissions(arguments)
            .map(|permission| permission.name().to_owned())
            .collect(),
        client_id: arguments.client_id,
        program_id: arguments.program_id,
        seller_id: arguments.seller_id,
        created_at: now,
        expires_at,
        revoked_at: None,
    };
    let key = outside.random.uuid_v4().to_string();
    let made = store.create_api_key(&ApiKeyHash::of(&key), &record).await;
    made.map_err(Failure::Tables)?;
    Ok(report(
        arguments,
        &record,
        &key,
        now,
        Paint(outside.stderr_colours),
    ))
}

/// What the key is to be able to do, each once, in the order of the list.
fn permissions(arguments: &Create) -> impl Iterator<Item = Permission> {
    let is_granted = |permission: &Permission| {
        arguments.permissions.contains(permission) || arguments.all_read && permission.is_read()
    };
    Permission::ALL.iter().copied().filter(is_granted)
}

/// Whether the client, the program and the seller exist and belong together.
async fn check_scope(arguments: &Create, store: &Store) -> Result<(), Failure> {
    let refused = |reason: String| Err(Failure::KeyScope(reason));
    let Some(client_id) = arguments.client_id else {
        return Ok(());
    };
    if store
        .client(client_id)
        .await
        .map_err(Failure::Tables)?
        .is_none()
    {
        return refused(format!("there is no client {client_id}"));
    }
    let Some(program_id) = arguments.program_id else {
        return Ok(());
    };
    match store.program(program_id).await.map_err(Failure::Tables)? {
        None => return refused(format!("there is no program {program_id}")),
        Some(program) if program.client_id != client_id => {
            let of = program.client_id;
            return refused(format!(
                "the program {program_id} is of the client {of}, not of {client_id}"
            ));
        }
        Some(_) => {}
    }
    let Some(seller_id) = arguments.seller_id else {
        return Ok(());
    };
    match store.seller(seller_id).await.map_err(Failure::Tables)? {
        None => refused(format!("there is no seller {seller_id}")),
        Some(seller) if seller.program_id != program_id => {
            let of = seller.program_id;
            refused(format!(
                "the seller {seller_id} is in the program {of}, not in {program_id}"
            ))
        }
        Some(_) => Ok(()),
    }
}

fn report(
    arguments: &Create,
    record: &ApiKeyRecord,
    key: &str,
    now: chrono::DateTime<Utc>,
    paint: Paint,
) -> Report {
    let stdout = if arguments.output.json {
        let mut shown = shown::json(record, now);
        if let Some(members) = shown.as_object_mut() {
            members.insert("key".to_owned(), key.into());
        }
        shown::document(&shown)
    } else {
        format!(
            "Key:         {key}\nId:          {}\nName:        {}\nPermissions: {}\nScope:       {}\n\
             Expires:     {}\n",
            record.id,
            plain(&record.name),
            record.permissions.join(" "),
            shown::scope(record),
            shown::expires(record),
        )
    };
    let mut stderr = format!(
        "{} the key is not shown again and cannot be found out: keep it now\n",
        paint.note("warning:")
    );
    if permissions(arguments).any(|may| may == Permission::SettlementsWrite)
        && record.program_id.is_none()
    {
        append(
            &mut stderr,
            format_args!(
                "{} the key cannot send files all the same, as it is not limited to a program: it \
                 would not be known for whom they are\n",
                paint.note("warning:")
            ),
        );
    }
    Report {
        stdout,
        stderr,
        exit_code: EXIT_WELL,
    }
}
