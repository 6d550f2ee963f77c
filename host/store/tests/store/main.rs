//! The store from outside: what both drivers promise, what PostgreSQL does when it is cut off, leases, copies.

mod conformance;
mod copying;
mod cut;
mod leases;
mod place;
mod tables;
mod tls;
