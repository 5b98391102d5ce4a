//! SoftLayer's JSON: the few properties we read of each data type.
//!
//! Names and types: softlayer-go `datatypes/*.go`, generated from the API's own description. Numbers may come as
//! strings, a list of one without its brackets, and what is empty as null or not at all.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A whole number, which may come in quotes: `1234`, `"1234"`, `16.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number(pub(crate) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, in quotes or not")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Number, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                let digits = text.strip_suffix(".0").unwrap_or(text);
                digits.parse().map(Number).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An amount of money, as it was spelled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Amount {
    Text(String),
    Number(serde_json::Number),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// A list, which may come without brackets if it has one row, and as null if it has none.
#[derive(Debug, Clone)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: de::DeserializeOwned> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde_json::Value;
        // By way of a value, so that a wrong row says what is wrong with it.
        let rows = match Value::deserialize(deserializer)? {
            Value::Null => vec![],
            Value::Array(rows) => rows,
            one => vec![one],
        };
        let rows = rows.into_iter().map(serde_json::from_value).collect::<Result<_, _>>();
        rows.map(Self).map_err(de::Error::custom)
    }
}

/// `SoftLayer_Network_Subnet`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subnet {
    pub(crate) id: Number,
    /// The first address.
    pub(crate) network_identifier: Option<String>,
    /// The prefix length.
    pub(crate) cidr: Option<Number>,
    pub(crate) gateway: Option<String>,
    pub(crate) network_vlan_id: Option<Number>,
    pub(crate) subnet_type: Option<String>,
    pub(crate) note: Option<String>,
    #[serde(default)]
    pub(crate) tag_references: List<TagReference>,
    pub(crate) billing_item: Option<BillingItem>,
    #[serde(default)]
    pub(crate) ip_addresses: List<IpAddress>,
}

/// `SoftLayer_Tag_Reference`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TagReference {
    pub(crate) tag: Option<Tag>,
}

/// `SoftLayer_Tag`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Tag {
    pub(crate) name: Option<String>,
}

/// `SoftLayer_Network_Subnet_IpAddress`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IpAddress {
    pub(crate) ip_address: String,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) is_network: bool,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) is_gateway: bool,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) is_broadcast: bool,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) is_reserved: bool,
    pub(crate) note: Option<String>,
}

/// `SoftLayer_Billing_Item`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BillingItem {
    pub(crate) id: Option<Number>,
    pub(crate) order_item: Option<BillingOrderItem>,
}

/// `SoftLayer_Billing_Order_Item`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BillingOrderItem {
    pub(crate) item_price_id: Option<Number>,
    pub(crate) order: Option<BillingOrder>,
}

/// `SoftLayer_Billing_Order`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BillingOrder {
    pub(crate) id: Number,
    pub(crate) create_date: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) user_record: Option<User>,
    #[serde(default)]
    pub(crate) items: List<BillingOrderItem>,
}

/// `SoftLayer_User_Customer`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) username: Option<String>,
    pub(crate) has_full_virtual_guest_access_flag: Option<bool>,
    pub(crate) has_full_hardware_access_flag: Option<bool>,
}

/// `SoftLayer_Product_Item`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProductItem {
    pub(crate) capacity: Option<Number>,
    pub(crate) item_category: Option<ItemCategory>,
    #[serde(default)]
    pub(crate) prices: List<ItemPrice>,
}

/// `SoftLayer_Product_Item_Category`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ItemCategory {
    pub(crate) category_code: Option<String>,
}

/// `SoftLayer_Product_Item_Price`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ItemPrice {
    pub(crate) id: Number,
    /// Null for the price that holds everywhere.
    pub(crate) location_group_id: Option<Number>,
    pub(crate) recurring_fee: Option<Amount>,
}

/// `SoftLayer_Container_Product_Order`, as it comes back from a verification.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct VerifiedOrder {
    #[serde(default)]
    pub(crate) prices: List<ItemPrice>,
}

/// `SoftLayer_Container_Product_Order_Receipt`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub(crate) order_id: Option<Number>,
    pub(crate) order_details: Option<OrderDetails>,
}

/// `SoftLayer_Container_Product_Order_Network_Subnet`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderDetails {
    pub(crate) end_point_vlan_id: Option<Number>,
}

/// `SoftLayer_Network_Vlan`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Vlan {
    pub(crate) vlan_number: Option<Number>,
    pub(crate) fully_qualified_name: Option<String>,
    pub(crate) network_space: Option<String>,
    pub(crate) primary_router: Option<Router>,
}

/// `SoftLayer_Hardware_Router`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Router {
    pub(crate) hostname: Option<String>,
}

/// `SoftLayer_Virtual_Guest` or `SoftLayer_Hardware_Server`: the properties of both that tell them apart and say how
/// they are.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    pub(crate) global_identifier: Option<String>,
    /// Of a virtual guest.
    pub(crate) status: Option<KeyName>,
    /// Of a virtual guest.
    pub(crate) power_state: Option<KeyName>,
    /// Of a bare metal server.
    pub(crate) hardware_status: Option<HardwareStatus>,
    pub(crate) active_transaction: Option<Transaction>,
}

/// `SoftLayer_Virtual_Guest_Status`, `SoftLayer_Virtual_Guest_Power_State`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyName {
    pub(crate) key_name: Option<String>,
}

/// `SoftLayer_Hardware_Status`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct HardwareStatus {
    pub(crate) status: Option<String>,
}

/// `SoftLayer_Provisioning_Version1_Transaction`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Transaction {
    pub(crate) id: Option<Number>,
}

/// A flag, which may come as `true`, `1` or null.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Bool(bool),
        Number(Number),
    }
    Ok(match Option::<Flag>::deserialize(deserializer)? {
        None => false,
        Some(Flag::Bool(flag)) => flag,
        Some(Flag::Number(Number(number))) => number != 0,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_number_may_come_in_quotes() {
        for written in [json!(64), json!("64"), json!(64.0), json!("64.0")] {
            assert_eq!(from_value::<Number>(written).unwrap(), Number(64));
        }
        for wrong in [json!(-1), json!("6x"), json!(6.5), json!(true), json!("")] {
            assert!(from_value::<Number>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_of_one_may_come_without_brackets_and_none_as_null() {
        let read = |value| from_value::<List<Number>>(value).unwrap().0;
        assert_eq!(read(json!([1, "2"])), [Number(1), Number(2)]);
        assert_eq!(read(json!(1)), [Number(1)]);
        assert_eq!(read(json!(null)), []);
    }

    #[test]
    fn a_flag_may_come_as_a_number_or_not_at_all() {
        let row = json!({"ipAddress": "10.0.0.1", "isGateway": 1, "isNetwork": false, "isReserved": null});
        let row: IpAddress = from_value(row).unwrap();
        assert_eq!(
            (row.is_gateway, row.is_network, row.is_reserved, row.is_broadcast),
            (true, false, false, false)
        );
    }
}
