//! Which address a request came from, and which addresses are one client.

use std::net::IpAddr;

use scenehost_core::address::{Client, Network, origin};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[track_caller]
fn check(peer: &str, forwarded: &[&str], trusted: &[&str], expected: Result<&str, &str>) {
    let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().expect("a network")).collect();
    let found = origin(ip(peer), forwarded.iter().map(|value| value.as_bytes()), &trusted);
    let found = found.map_err(|error| error.to_string());
    match expected {
        Ok(address) => assert_eq!(found, Ok(ip(address))),
        Err(named) => {
            let text = found.expect_err("a proxy that names no address");
            assert!(text.contains(&format!("{named:?}")), "{text}");
        }
    }
}

#[test]
fn only_trusted_proxies_say_where_a_request_came_from() {
    const PROXIES: &[&str] = &["10.0.0.0/8", "::1", "2001:db8:1::/48"];
    // Nobody is trusted, or not this one: what the header says does not count.
    check("203.0.113.5", &["198.51.100.1"], &[], Ok("203.0.113.5"));
    check("203.0.113.5", &["198.51.100.1"], PROXIES, Ok("203.0.113.5"));
    check("203.0.113.5", &["no address"], PROXIES, Ok("203.0.113.5"));
    check("::2", &["198.51.100.1"], PROXIES, Ok("::2"));
    // One proxy, which adds whom it was asked by behind what it was told.
    check("10.1.2.3", &[], PROXIES, Ok("10.1.2.3"));
    check("10.1.2.3", &["198.51.100.1"], PROXIES, Ok("198.51.100.1"));
    check("10.1.2.3", &["1.1.1.1, 198.51.100.1"], PROXIES, Ok("198.51.100.1"));
    check("10.1.2.3", &["1.1.1.1", "198.51.100.1"], PROXIES, Ok("198.51.100.1"));
    check("10.1.2.3", &["no address, 198.51.100.1"], PROXIES, Ok("198.51.100.1"));
    check("::1", &["2001:db8:2::7"], PROXIES, Ok("2001:db8:2::7"));
    // Several, one after the other; a client that claims to be one of them has no use of it.
    check("10.1.2.3", &["198.51.100.1, 10.9.9.9", "2001:db8:1::9"], PROXIES, Ok("198.51.100.1"));
    check("10.1.2.3", &["10.6.6.6, 198.51.100.1, 10.9.9.9"], PROXIES, Ok("198.51.100.1"));
    // All are trusted: the request is the farthest one's own.
    check("10.1.2.3", &["10.6.6.6, 10.9.9.9"], PROXIES, Ok("10.6.6.6"));
    // The ways in which addresses are written.
    check("::ffff:10.1.2.3", &["::ffff:198.51.100.1"], PROXIES, Ok("198.51.100.1"));
    check("10.1.2.3", &["198.51.100.1:4711"], PROXIES, Ok("198.51.100.1"));
    check("10.1.2.3", &["[2001:db8:2::7]:4711"], PROXIES, Ok("2001:db8:2::7"));
    check("10.1.2.3", &["[2001:db8:2::7]"], PROXIES, Ok("2001:db8:2::7"));
    check("10.1.2.3", &[" ,198.51.100.1,, "], PROXIES, Ok("198.51.100.1"));
    // A trusted proxy that names no address.
    check("10.1.2.3", &["unknown"], PROXIES, Err("unknown"));
    check("10.1.2.3", &["198.51.100.1, _hidden, 10.9.9.9"], PROXIES, Err("_hidden"));
    check("10.1.2.3", &["198.51.100"], PROXIES, Err("198.51.100"));
}

#[test]
fn a_network_is_one_address_or_a_range() {
    for wrong in ["", "10.0.0.0/33", "10.0.0", "example.org", "10.0.0.0/8/8"] {
        let error = wrong.parse::<Network>().expect_err(wrong);
        assert!(error.contains(&format!("{wrong:?}")) && error.contains("10.0.0.0/8"), "{error}");
    }
}

#[test]
fn a_client_is_an_ipv4_address_or_the_64_of_an_ipv6_one() {
    let client = |text| Client::of(ip(text));
    assert_ne!(client("198.51.100.1"), client("198.51.100.2"));
    assert_eq!(client("198.51.100.1"), client("::ffff:198.51.100.1"));
    assert_eq!(client("2001:db8:0:7::1"), client("2001:db8:0:7:ffff:ffff:ffff:ffff"));
    assert_ne!(client("2001:db8:0:7::1"), client("2001:db8:0:8::1"));
}
