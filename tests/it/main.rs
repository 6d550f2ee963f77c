//! The whole host under test: the real binary on loopback, the real components, real connections.
//!
//! | | what is shown |
//! |---|---|
//! | [`flow`] | from sign-in to the result, and every way around |
//! | [`sessions`] | who a user is, also after a crash |
//! | [`tokens`] | the door of a scene |
//! | [`transcript`] | that the protocol's page shows what happens |
//! | [`frames`] | what clients may not send |
//! | [`door`] | deadlines, sizes, limits per address, proxies, ten thousand connections |
//! | [`secure`] | TLS, and certificates that change |
//! | [`hostile`], [`restart`] | what components may not do, that their neighbours do not notice, and what follows |
//! | [`slow`] | games that are slow: nobody else waits, and they lose nothing |
//! | [`resume`] | that cut connections lose nothing, by the Rust client |
//! | [`bots`] | a hundred players, every message accounted for |
//! | [`matching`] | what users bring to a search and want of it, and matches that have to be accepted |
//! | [`logs`], [`scenectl`], [`scenectl_dev`] | what scenes write, for who makes them; the designers' tool with a host |
//! | [`lines`], [`cut`] | connections that are lost: what is kept, and that nothing is missed |
//! | [`friends`] | friends, what they see of each other, and notifications |
//! | [`standing`] | results, recorded once, and what becomes of them |
//! | [`deploy`] | that the deployment examples are right, and the runbook names every metric |
//! | [`startup`] | what the host refuses to start with |
//! | [`stop`] | how the host stops |
//! | [`crash`], [`crash_money`], [`crash_party`] | what is there after kill -9 and power failures |
//! | [`journals`] | games that are replayed, and that go on after kill -9 |
//! | [`replays`] | matches played at random, replayed bit for bit |
//! | [`records`] | profiles and stored records |
//! | [`oidc`] | whose ID tokens sign in, and how their keys come |
//! | [`match_replay`] | searches that are recorded, and replayed |
//! | [`ops`], [`store`] | what operators see and do; backups and checks of the store |
//! | [`on_postgres`] | a host whose store is in PostgreSQL |
//! | [`growing`], [`node_operators`] | a host that becomes the first of many nodes; what operators change there |
//! | [`nodes`], [`isolated`], [`soak`] | many nodes, whatever fails; nodes that are cut off; bots that play through faults (`cargo xtask soak` for longer) |
//! | [`full_disk`], [`saves`] | a store that cannot be written for a while, and what games save meanwhile |
//! | [`scenes`] | games that are found, joined in progress and watched; users who are taken out of one |
//! | [`chat`], [`guild`], [`party`] | what users say, and the groups they are in |
//! | [`pages`] | the games in a real browser |
//! | [`client_ts`] | the TypeScript client, with its connections cut |
//! | [`typescript`] | a game in TypeScript |
//!
//! Help: [`host`] runs the binary, [`player`] plays by the Rust client, [`raw`] speaks the bare
//! protocol, [`random_match`] plays a game by the engine alone, [`issuer`] makes ID tokens, [`tls`] certificates, [`way`] cuts connections. `cargo xtask test` builds what they need.

mod accounts;
mod bots;
mod chat;
mod client_ts;
mod cluster;
mod crash;
mod crash_money;
mod crash_party;
mod cut;
mod deploy;
mod domains;
mod door;
mod fleets;
mod flow;
mod frames;
mod friends;
mod full_disk;
mod growing;
mod guild;
mod hostile;
mod journals;
mod keep_alive;
mod lines;
mod logs;
mod match_replay;
mod matching;
mod next_match;
mod node_domains;
mod node_operators;
mod node_partitions;
mod nodes;
mod oidc;
mod on_postgres;
mod ops;
mod pages;
mod party;
mod quarantine;
mod records;
mod replays;
mod restart;
mod resume;
mod rules;
mod saves;
mod scenectl;
mod scenectl_dev;
mod scenectl_versions;
mod scenes;
mod secure;
mod sessions;
mod shop;
mod slow;
mod soak;
mod standing;
mod startup;
mod stop;
mod store;
mod strikes;
mod swaps;
mod tokens;
mod transcript;
mod typescript;
mod usage;
mod way;

mod host;
mod isolated;
mod issuer;
mod player;
mod plugins;
mod random_match;
mod raw;
mod tls;
