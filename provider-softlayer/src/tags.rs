//! Our tags on a subnet, beside those of others.
//!
//! `setTags` takes one text of names between commas and replaces the whole set, and there is no conditional write. So
//! the set is read, edited, written and read back. An edit that somebody else makes between our read and our write is
//! lost; nothing in the API can prevent that. Source: softlayer-python `decoration.py` repeats `setTags` four times,
//! because it fails now and then.

use std::time::Duration;

use provider::{ProviderError, SubnetId, Tag, TagEdit};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    NAME,
    client::{Call, Client},
    subnets,
    wire::Subnet,
};

const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn edit(client: &Client, subnet: &SubnetId, edit: &TagEdit) -> Result<(), ProviderError> {
    let doing = format!("changing the tags of subnet {subnet}");
    let mut pause = FIRST_PAUSE;
    for _ in 0..TRIES {
        let tags = read(client, subnet, &doing).await?;
        if edit.holds_in(&tags) {
            return Ok(());
        }
        match write(client, subnet, &edit.applied_to(&tags), &doing).await {
            Ok(()) | Err(ProviderError::InDoubt { .. } | ProviderError::Throttled { .. }) => (),
            Err(error) => return Err(error),
        }
        if edit.holds_in(&read(client, subnet, &doing).await?) {
            return Ok(());
        }
        sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
        pause *= 2;
    }
    let reason = format!("after {TRIES} writes they still do not read back");
    Err(ProviderError::Busy { provider: NAME, doing, reason })
}

async fn read(client: &Client, subnet: &SubnetId, doing: &str) -> Result<Vec<Tag>, ProviderError> {
    let call = Call::new("SoftLayer_Network_Subnet", "getObject", doing).of(subnet);
    let row: Subnet = client.read(&call.mask("id,tagReferences[tag[name]]")).await?;
    Ok(subnets::tags(&row))
}

async fn write(client: &Client, subnet: &SubnetId, tags: &[Tag], doing: &str) -> Result<(), ProviderError> {
    let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    let call = Call::new("SoftLayer_Network_Subnet", "setTags", doing).of(subnet);
    client.change::<serde_json::Value>(&call.with(json!([names.join(",")]))).await.map(drop)
}
