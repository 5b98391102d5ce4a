//! The SoftLayer (IBM Cloud classic) provider.
