//! Between the words of `ipam` and the keys and bytes of the store.

use ipam::{Compare, Epoch, Generation, HostId, Key, Prefix, Revision, Seen, Value, Write, Zone};
use store::layout::{self, Item, Under, ValueError};

/// The store's transaction for one of `ipam`'s.
pub(crate) fn transaction(transaction: &ipam::Transaction) -> Result<store::Transaction, ValueError> {
    let compares = transaction.compares.iter().map(|compare| match compare {
        Compare::At { key, revision } => {
            let key = item(key).key();
            Ok(store::Compare::Unchanged { key, revision: store::Revision(revision.0) })
        }
        Compare::Holds { key, value } => {
            let key = item(key).key();
            Ok(store::Compare::Holds { value: encode(&key, value)?, key })
        }
        Compare::Absent(key) => Ok(store::Compare::Absent(item(key).key())),
        Compare::Empty(prefix) => Ok(store::Compare::Empty(under(prefix).prefix())),
    });
    let compares = compares.collect::<Result<_, _>>()?;
    let writes = transaction.writes.iter().map(|write| match write {
        Write::Put { key, value } => {
            let key = item(key).key();
            Ok(store::Write::Put { value: encode(&key, value)?, key })
        }
        Write::Delete(key) => Ok(store::Write::Delete(item(key).key())),
    });
    Ok(store::Transaction { compares, writes: writes.collect::<Result<_, _>>()? })
}

/// What a conflict showed: every key that was compared, there or not, and what stands under a prefix.
pub(crate) fn conflict(
    transaction: &ipam::Transaction,
    now: &store::Snapshot,
) -> Result<Vec<Seen>, ValueError> {
    let mut seen = entries(now)?;
    for compare in &transaction.compares {
        if let Compare::At { key, .. } | Compare::Holds { key, .. } | Compare::Absent(key) = compare
            && now.find(&item(key).key()).is_none()
        {
            seen.push(absent(key.clone(), now.revision));
        }
    }
    Ok(seen)
}

/// What one key showed.
pub(super) fn read(key: &Key, read: &store::Read) -> Result<Seen, ValueError> {
    match &read.entry {
        Some(entry) => Ok(Seen {
            key: key.clone(),
            value: Some(decode(key, entry.key.clone(), &entry.value)?),
            revision: Revision(entry.revision.0),
        }),
        None => Ok(absent(key.clone(), read.revision)),
    }
}

/// What a range showed. Keys that this version does not know are left out.
pub(super) fn entries(snapshot: &store::Snapshot) -> Result<Vec<Seen>, ValueError> {
    let known = snapshot.entries.iter().filter_map(|entry| Some((key(&entry.key)?, entry)));
    let seen = known.map(|(key, entry)| {
        let value = Some(decode(&key, entry.key.clone(), &entry.value)?);
        Ok(Seen { key, value, revision: Revision(entry.revision.0) })
    });
    seen.collect()
}

/// What a watch showed.
pub(super) fn change(change: &store::Change) -> Result<Vec<Seen>, ValueError> {
    let revision = Revision(change.revision.0);
    let known = change.events.iter().filter_map(|event| Some((key(event.key())?, event)));
    let seen = known.map(|(known, event)| {
        let value = match event {
            store::Event::Put { key, value } => Some(decode(&known, key.clone(), value)?),
            store::Event::Deleted(_) => None,
        };
        Ok(Seen { key: known, value, revision })
    });
    seen.collect()
}

/// The store's name for a key.
pub(crate) fn item(key: &Key) -> Item {
    match key {
        Key::Cluster => Item::Cluster,
        Key::Host(host) => Item::Host(host.0.clone()),
        Key::Session(host) => Item::Session(host.0.clone()),
        Key::Eviction(host) => Item::Eviction(host.0.clone()),
        Key::Pool(pool) => Item::Pool(pool.0.clone()),
        Key::Subnet(cidr) => Item::Subnet(*cidr),
        Key::Block { zone, block } => {
            Item::Block { zone: zone.0.clone(), subnet: block.subnet, index: block.index }
        }
        Key::Reservation(name) => Item::Reservation(name.0.clone()),
        Key::Surplus { zone, host } => Item::Surplus { zone: zone.0.clone(), host: host.0.clone() },
        Key::Want { zone, holder, asker } => {
            Item::Want { zone: zone.0.clone(), holder: holder.0.clone(), asker: asker.0.clone() }
        }
        Key::Published { host, block } => {
            Item::Published { host: host.0.clone(), subnet: block.subnet, index: block.index }
        }
        Key::Endpoint(address) => Item::Endpoint(*address),
        Key::Dependent { address, epoch, object } => Item::Dependent {
            address: *address,
            epoch: [epoch.generation.number, epoch.generation.id, epoch.take, epoch.counter],
            object: object.clone(),
        },
    }
}

/// The key that the store spells so. None for what `ipam` does not know.
fn key(spelled: &store::Key) -> Option<Key> {
    let block = |subnet, index| ipam::BlockId { subnet, index };
    Some(match Item::of(spelled)? {
        Item::Cluster => Key::Cluster,
        Item::Host(host) => Key::Host(HostId(host)),
        Item::Session(host) => Key::Session(HostId(host)),
        Item::Eviction(host) => Key::Eviction(HostId(host)),
        Item::Pool(pool) => Key::Pool(ipam::PoolName(pool)),
        Item::Subnet(cidr) => Key::Subnet(cidr),
        Item::Block { zone, subnet, index } => Key::Block { zone: Zone(zone), block: block(subnet, index) },
        Item::Reservation(name) => Key::Reservation(ipam::ReservationName(name)),
        Item::Surplus { zone, host } => Key::Surplus { zone: Zone(zone), host: HostId(host) },
        Item::Want { zone, holder, asker } => {
            Key::Want { zone: Zone(zone), holder: HostId(holder), asker: HostId(asker) }
        }
        Item::Published { host, subnet, index } => {
            Key::Published { host: HostId(host), block: block(subnet, index) }
        }
        Item::Endpoint(address) => Key::Endpoint(address),
        Item::Dependent { address, epoch: [number, id, take, counter], object } => Key::Dependent {
            address,
            epoch: Epoch { generation: Generation { number, id }, take, counter },
            object,
        },
        Item::Founding
        | Item::Copying
        | Item::Moved
        | Item::Rebuild
        | Item::Service(_)
        | Item::Declaring
        | Item::Member { .. }
        | Item::Balancer(_)
        | Item::Balanced { .. }
        | Item::Firewall(_)
        | Item::Admitted { .. }
        | Item::Drain { .. }
        | Item::Name(_)
        | Item::Called { .. }
        | Item::Takes(_)
        | Item::Owner(_)
        | Item::Order(_)
        | Item::Policy(_)
        | Item::Trial(_)
        | Item::Description(_)
        | Item::Running { .. }
        | Item::Ledger(_)
        | Item::Segment(_)
        | Item::Keep { .. }
        | Item::Ask { .. }
        | Item::Told { .. } => return None,
    })
}

/// The store's name for a family of keys.
pub(super) fn under(prefix: &Prefix) -> Under {
    match prefix {
        Prefix::Cluster => Under::Cluster,
        Prefix::Hosts => Under::Hosts,
        Prefix::Pools => Under::Pools,
        Prefix::Subnets => Under::Subnets,
        Prefix::Blocks(zone) => Under::BlocksIn { zone: zone.0.clone() },
        Prefix::Reservations => Under::Reservations,
        Prefix::Surplus(zone) => Under::SurplusOf { zone: zone.0.clone() },
        Prefix::Wants { zone, holder } => Under::WantsOf { zone: zone.0.clone(), holder: holder.0.clone() },
        Prefix::Published(host) => Under::PublishedOf { host: host.0.clone() },
        Prefix::Dependents(address) => Under::DependentsOf(*address),
    }
}

fn encode(key: &store::Key, value: &Value) -> Result<Vec<u8>, ValueError> {
    match value {
        Value::Cluster(value) => layout::encode(key, value),
        Value::Host(value) => layout::encode(key, value),
        Value::Session(value) => layout::encode(key, value),
        Value::Eviction(value) => layout::encode(key, value),
        Value::Pool(value) => layout::encode(key, value),
        Value::Subnet(value) => layout::encode(key, value),
        Value::Block(value) => layout::encode(key, value),
        Value::Reservation(value) => layout::encode(key, value),
        Value::Surplus(value) => layout::encode(key, value),
        Value::Want(value) => layout::encode(key, value),
        Value::Published(value) => layout::encode(key, value),
        Value::Endpoint(value) => layout::encode(key, value),
        Value::Dependent(value) => layout::encode(key, value),
    }
}

/// The value's kind is always the key's.
fn decode(key: &Key, spelled: store::Key, bytes: &[u8]) -> Result<Value, ValueError> {
    Ok(match key {
        Key::Cluster => Value::Cluster(layout::decode(&spelled, bytes)?),
        Key::Host(_) => Value::Host(layout::decode(&spelled, bytes)?),
        Key::Session(_) => Value::Session(layout::decode(&spelled, bytes)?),
        Key::Eviction(_) => Value::Eviction(layout::decode(&spelled, bytes)?),
        Key::Pool(_) => Value::Pool(layout::decode(&spelled, bytes)?),
        Key::Subnet(_) => Value::Subnet(layout::decode(&spelled, bytes)?),
        Key::Block { .. } => Value::Block(layout::decode(&spelled, bytes)?),
        Key::Reservation(_) => Value::Reservation(layout::decode(&spelled, bytes)?),
        Key::Surplus { .. } => Value::Surplus(layout::decode(&spelled, bytes)?),
        Key::Want { .. } => Value::Want(layout::decode(&spelled, bytes)?),
        Key::Published { .. } => Value::Published(layout::decode(&spelled, bytes)?),
        Key::Endpoint(_) => Value::Endpoint(layout::decode(&spelled, bytes)?),
        Key::Dependent { .. } => Value::Dependent(layout::decode(&spelled, bytes)?),
    })
}

fn absent(key: Key, at: store::Revision) -> Seen {
    Seen { key, value: None, revision: Revision(at.0) }
}
