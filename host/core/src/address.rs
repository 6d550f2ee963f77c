//! Clients' addresses: where a request came from, and what counts as one client.
//!
//! Invariant: what a machine says about the machine before it is believed only if the operator trusts
//! that machine, so no client can pass for another.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use serde::Deserialize;

/// One client to the limits per address: an IPv4 address, or the /64 of an IPv6 address, since that is
/// the least that one customer of a network is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(IpAddr);

impl Client {
    /// The client behind an address. An IPv4 address written as IPv6 is the same client.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                Self(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
            address => Self(address),
        }
    }
}

/// Machines that the operator trusts to say whose requests they pass on: a network such as
/// `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = || text.parse::<IpAddr>().map(IpNet::from);
        let network = text.parse::<IpNet>().or_else(|_| one());
        network.map(Self).map_err(|_| format!("{text:?} is no address and no network such as 10.0.0.0/8"))
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A trusted proxy has named something else than an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the proxy in front of this server names {0:?} in X-Forwarded-For, which is no address")]
pub struct NoAddress(String);

/// Whether a connection from this address is a trusted proxy's.
pub fn is_trusted(peer: IpAddr, trusted: &[Network]) -> bool {
    let peer = peer.to_canonical();
    trusted.iter().any(|network| network.contains(peer))
}

/// Where a request came from: `peer` is the other end of the connection, `forwarded` the values of the
/// request's `X-Forwarded-For`, in their order.
///
/// Each proxy adds the address of the machine that it was asked by at the end, so the list is read from
/// there, and as long as the machine that has added an entry is trusted: the first one that is not is
/// the client. If all are trusted, the request is that of the farthest.
///
/// # Errors
/// [`NoAddress`] if a trusted proxy has added something that cannot be read. What an untrusted machine
/// has added is never looked at.
pub fn origin<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
    trusted: &[Network],
) -> Result<IpAddr, NoAddress> {
    let mut origin = peer.to_canonical();
    let entries = forwarded.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    for entry in entries.rev().filter(|entry| !entry.is_empty()) {
        if !is_trusted(origin, trusted) {
            break;
        }
        origin = parse(entry).ok_or_else(|| NoAddress(String::from_utf8_lossy(entry).chars().take(64).collect()))?;
    }
    Ok(origin)
}

/// An address as proxies write it: alone, in brackets, or with a port.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let in_brackets = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let alone = in_brackets.unwrap_or(text).parse::<IpAddr>().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    alone.or_else(with_port).map(|address| address.to_canonical())
}
