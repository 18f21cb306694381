//! Clients, programs, sellers and customers, as far as settling needs them.

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};
use weir_domain::{AlternateSellerId, ClientId, CustomerId, ProgramId, SellerId};

use crate::error::{sorted, unavailable};
use crate::item::{Item, Reader, Writer, text, uuid};
use crate::tables::REFERENCE;
use crate::{Store, StoreError};

/// A client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// Its name.
    pub name: String,
}

/// A program of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its id.
    pub id: ProgramId,
    /// Its client.
    pub client_id: ClientId,
    /// Its name.
    pub name: String,
}

/// A seller in a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seller {
    /// Its id at 3Rivers.
    pub id: SellerId,
    /// Its client.
    pub client_id: ClientId,
    /// Its program.
    pub program_id: ProgramId,
    /// The client's own id of it.
    pub alternate_seller_id: Option<AlternateSellerId>,
    /// Its name.
    pub name: String,
}

/// A customer of a program: a buyer's company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// Its client.
    pub client_id: ClientId,
    /// Its program.
    pub program_id: ProgramId,
    /// Its name.
    pub name: Option<String>,
}

fn alternate_key(program: ProgramId, alternate: &AlternateSellerId) -> String {
    format!("alternate-seller#{program}#{alternate}")
}

impl Store {
    /// Writes a client.
    pub async fn put_client(&self, client: &Client) -> Result<(), StoreError> {
        let item = Writer::default()
            .with("id", text(format!("client#{}", client.id)))
            .with("name", text(&client.name));
        self.put_reference(item.finish()).await
    }

    /// Writes a program.
    pub async fn put_program(&self, program: &Program) -> Result<(), StoreError> {
        let item = Writer::default()
            .with("id", text(format!("program#{}", program.id)))
            .with("client_id", uuid(program.client_id))
            .with("name", text(&program.name));
        self.put_reference(item.finish()).await
    }

    /// Writes a seller, and the way to it from its alternate id.
    pub async fn put_seller(&self, seller: &Seller) -> Result<(), StoreError> {
        let alternate = seller.alternate_seller_id.as_ref();
        let item = Writer::default()
            .with("id", text(format!("seller#{}", seller.id)))
            .with("client_id", uuid(seller.client_id))
            .with("program_id", uuid(seller.program_id))
            .with_some("alternate_seller_id", alternate.map(|id| text(id.as_str())))
            .with("name", text(&seller.name));
        self.put_reference(item.finish()).await?;
        let Some(alternate) = alternate else {
            return Ok(());
        };
        let item = Writer::default()
            .with("id", text(alternate_key(seller.program_id, alternate)))
            .with("seller_id", uuid(seller.id));
        self.put_reference(item.finish()).await
    }

    /// Writes a customer.
    pub async fn put_customer(&self, customer: &Customer) -> Result<(), StoreError> {
        let item = Writer::default()
            .with("id", text(format!("customer#{}", customer.id)))
            .with("client_id", uuid(customer.client_id))
            .with("program_id", uuid(customer.program_id))
            .with_some("name", customer.name.as_ref().map(text));
        self.put_reference(item.finish()).await
    }

    /// A program.
    pub async fn program(&self, id: ProgramId) -> Result<Option<Program>, StoreError> {
        let key = format!("program#{id}");
        let Some(item) = self.get_reference(&key).await? else {
            return Ok(None);
        };
        let read = Reader::new(REFERENCE.name, key, &item);
        Ok(Some(Program {
            id,
            client_id: read.id("client_id")?,
            name: read.text("name")?.to_owned(),
        }))
    }

    /// A seller by its id.
    pub async fn seller(&self, id: SellerId) -> Result<Option<Seller>, StoreError> {
        let key = format!("seller#{id}");
        let Some(item) = self.get_reference(&key).await? else {
            return Ok(None);
        };
        let read = Reader::new(REFERENCE.name, key, &item);
        Ok(Some(Seller {
            id,
            client_id: read.id("client_id")?,
            program_id: read.id("program_id")?,
            alternate_seller_id: read.opt_parsed("alternate_seller_id")?,
            name: read.text("name")?.to_owned(),
        }))
    }

    /// The seller that a client calls so in a program.
    pub async fn seller_by_alternate_id(
        &self,
        program: ProgramId,
        alternate: &AlternateSellerId,
    ) -> Result<Option<Seller>, StoreError> {
        let key = alternate_key(program, alternate);
        let Some(item) = self.get_reference(&key).await? else {
            return Ok(None);
        };
        let id = Reader::new(REFERENCE.name, key, &item).id("seller_id")?;
        // The way may outlive what it leads to.
        let seller = self.seller(id).await?;
        Ok(seller.filter(|seller| seller.alternate_seller_id.as_ref() == Some(alternate)))
    }

    /// The customers with some ids, at most a hundred; those that do not exist are missing.
    pub async fn customers(&self, ids: &[CustomerId]) -> Result<Vec<Customer>, StoreError> {
        const OPERATION: &str = "read customers";
        let mut ids: Vec<_> = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let mut customers = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(100) {
            let key =
                |id: &CustomerId| Item::from([("id".to_owned(), text(format!("customer#{id}")))]);
            let table = self.names.table(&REFERENCE);
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(chunk.iter().map(key).collect()))
                .build()
                .map_err(|_| unavailable(OPERATION, "no keys"))?;
            let answer = self
                .dynamodb()
                .batch_get_item()
                .request_items(&table, wanted)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(sorted(OPERATION))?;
            self.capacity.read(answer.consumed_capacity());
            if answer
                .unprocessed_keys()
                .is_some_and(|unread| !unread.is_empty())
            {
                return Err(unavailable(OPERATION, "throttled"));
            }
            for item in answer
                .responses()
                .and_then(|tables| tables.get(&table))
                .into_iter()
                .flatten()
            {
                customers.push(customer_from_item(item)?);
            }
        }
        Ok(customers)
    }

    async fn put_reference(&self, item: Item) -> Result<(), StoreError> {
        let answer = self
            .dynamodb()
            .put_item()
            .table_name(self.names.table(&REFERENCE))
            .set_item(Some(item))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("write reference data"))?;
        self.capacity.wrote(answer.consumed_capacity());
        Ok(())
    }

    async fn get_reference(&self, key: &str) -> Result<Option<Item>, StoreError> {
        let answer = self
            .dynamodb()
            .get_item()
            .table_name(self.names.table(&REFERENCE))
            .key("id", text(key))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("read reference data"))?;
        self.capacity.read(answer.consumed_capacity());
        Ok(answer.item)
    }
}

fn customer_from_item(item: &Item) -> Result<Customer, StoreError> {
    let key = item
        .get("id")
        .and_then(|value| value.as_s().ok())
        .cloned()
        .unwrap_or_default();
    let read = Reader::new(REFERENCE.name, key.clone(), item);
    Ok(Customer {
        id: key
            .strip_prefix("customer#")
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| read.corrupt("id"))?,
        client_id: read.id("client_id")?,
        program_id: read.id("program_id")?,
        name: read.opt_text("name")?.map(str::to_owned),
    })
}
