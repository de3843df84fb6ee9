//! A request of logs while it is put together, whatever its encoding: records by scope and by resource.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::formats::otlp::request::{SCOPE, Wire};
use crate::model::{Attribute, Labels, Origin, Record, Value};

/// Whose a record is, as an encoding writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The resource: the message itself.
    pub resource: Arc<[u8]>,
    /// What stands beside it: its schema, with what stands between fields.
    pub resource_schema: Arc<[u8]>,
    /// The scope: the message itself.
    pub scope: Arc<[u8]>,
    /// What stands beside it: its schema, with what stands between fields.
    pub scope_schema: Arc<[u8]>,
}

/// An encoding of logs.
pub trait LogWire: Wire {
    /// A resource with these attributes.
    fn application(attributes: &[Attribute]) -> Vec<u8>;

    /// A scope with that name, version, and attributes.
    fn scope(name: &str, version: &str, attributes: &[Attribute]) -> Vec<u8>;

    /// A schema's address beside a resource or a scope; nothing where it is empty.
    fn schema(url: &str) -> Vec<u8>;

    /// Writes a record. `labels`: those that it has besides its own, which win.
    fn record(record: &Record, labels: &Labels, out: &mut Vec<u8>);

    /// Writes a record that is written already behind others of its scope.
    fn add(record: &[u8], out: &mut Vec<u8>);

    /// Writes a scope with its records behind others of its resource.
    fn add_scope(head: &Head, records: &[u8], out: &mut Vec<u8>);

    /// Writes a resource with its scopes behind others.
    fn add_resource(head: &Head, scopes: &[u8], out: &mut Vec<u8>);

    /// The request of these resources.
    fn request(resources: Vec<u8>) -> Vec<u8>;

    /// The records of a request of ours, each with what it is of; none where it is damaged, or another's.
    fn records(plain: &[u8]) -> Option<Vec<(Arc<Head>, &[u8])>>;
}

impl Head {
    /// What is metricsd's own, but for the resource.
    pub fn scope_of_ours<W: LogWire>() -> Head {
        Head { scope: W::scope(SCOPE.0, SCOPE.1, &[]).into(), ..Head::default() }
    }

    /// Of an application's part. `before` is that of `other`, whose application it may share.
    pub fn of<W: LogWire>(origin: &Origin, before: &Head, other: Option<&Arc<Origin>>) -> Head {
        let scope = W::scope(&origin.scope, &origin.version, &origin.attributes).into();
        let scope_schema = W::schema(&origin.schema).into();
        if other.is_some_and(|other| Arc::ptr_eq(&other.application, &origin.application)) {
            return Head { scope, scope_schema, ..before.clone() };
        }
        let resource = W::application(&origin.application.attributes).into();
        Head { resource, resource_schema: W::schema(&origin.application.schema).into(), scope, scope_schema }
    }
}

/// Puts a request together.
pub struct Builder<W> {
    resources: Vec<u8>,
    scopes: Vec<u8>,
    records: Vec<u8>,
    current: Option<Arc<Head>>,
    count: u64,
    wire: PhantomData<W>,
}

impl<W> Default for Builder<W> {
    fn default() -> Builder<W> {
        Builder {
            resources: Vec::new(),
            scopes: Vec::new(),
            records: Vec::new(),
            current: None,
            count: 0,
            wire: PhantomData,
        }
    }
}

impl<W: LogWire> Builder<W> {
    /// Records in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// About the bytes that it takes.
    pub fn len(&self) -> usize {
        self.resources.len() + self.scopes.len() + self.records.len()
    }

    /// Adds a record. What is of one scope is to come together.
    pub fn add(&mut self, head: &Arc<Head>, record: &[u8]) {
        let is_same = |before: &Arc<Head>| Arc::ptr_eq(before, head) || before == head;
        if !self.current.as_ref().is_some_and(is_same) {
            self.end_scope();
            let of_other = |before: &Arc<Head>| {
                (&before.resource, &before.resource_schema) != (&head.resource, &head.resource_schema)
            };
            if self.current.as_ref().is_some_and(of_other) {
                self.end_resource();
            }
            self.current = Some(Arc::clone(head));
        }
        W::add(record, &mut self.records);
        self.count += 1;
    }

    fn end_scope(&mut self) {
        if let Some(head) = &self.current {
            W::add_scope(head, &self.records, &mut self.scopes);
        }
        self.records.clear();
    }

    fn end_resource(&mut self) {
        if let Some(head) = &self.current {
            W::add_resource(head, &self.scopes, &mut self.resources);
        }
        self.scopes.clear();
    }

    /// The request, and how many records are in it. Then it is empty.
    pub fn finish(&mut self) -> (Vec<u8>, u64) {
        self.end_scope();
        self.end_resource();
        self.current = None;
        (W::request(std::mem::take(&mut self.resources)), std::mem::take(&mut self.count))
    }
}

/// What a record of ours says that OTLP has no field for, as attributes: its labels and those that it has besides, of
/// which its own win; who gave it, where no application says that; and that it is cut. What it has as an attribute of
/// its own stays that.
pub fn each_other(record: &Record, labels: &Labels, mut with: impl FnMut(&str, Value)) {
    let is_new = |key: &str| record.attributes.iter().all(|(own, _)| **own != *key);
    let others = labels.iter().filter(|(name, _)| record.labels.get(name).is_none());
    for (name, value) in record.labels.iter().chain(others).filter(|(name, _)| is_new(name)) {
        with(name, Value::text(value));
    }
    if record.origin.is_none() && !record.source.is_empty() && is_new("source") {
        with("source", Value::text(&*record.source));
    }
    if record.truncated && is_new("truncated") {
        with("truncated", Value::Bool(true));
    }
}
