//! The host of session-based multiplayer games, as a library for the binary `scenehost` and for the benchmark, which
//! runs it in its own process to measure requests between services.
//!
//! | module | |
//! |---|---|
//! | [`config`] | the file and the flags |
//! | [`host`] | puts the parts together, stops them in order |
//! | `edge` | where clients connect |
//! | `ops` | where operators connect |
//! | `open_files` | how many connections the system allows |
//! | `service_loop` | runs the services of `host/core` |
//! | `in_place` | runs SceneService, which needs no loop |
//! | [`bus`] | brings their messages to each other, also to other nodes |
//! | `cluster`, `units` | this host as one node of many: leases, who runs what, and what a unit begins with |
//! | `scene_thread` | runs scenes and holds their users' sockets |
//! | [`store`] | keeps what was acknowledged: the crate `host/store`, and the commands about it |
//! | `sole` | the lease of a host that is all there is, on a database |
//! | `orphans` | removes from the store what scenes have left that ended with their node |
//! | `records`, `checks` | reads records and checks passwords for Auth |
//! | `fleets`, `capacity` | what scenes are made of, also while the host runs; what this machine gives to them |
//! | `game_logs` | keeps the newest lines that scenes have logged |
//! | `registry` | the plugins that were uploaded, their versions, and which are used |
//! | `domains` | how users are matched, also while the host runs |
//! | `rules` | loads the components that are rules of domains |
//! | `catalogue` | keeps the economy's catalogue current |
//! | [`journals`] | what scenes were given, in files; runs it again, from the command line, too |
//! | `match_streams`, [`match_command`] | records searches; replays them from the command line |
//! | `moderation` | asks the operator's service about what users say |
//! | `id_tokens` | checks the ID tokens of OpenID Connect providers |
//! | `strict` | reads what humans write, and refuses names that are not known |
//! | `wire` | the services' words in the client protocol |

pub mod bus;
mod capacity;
mod catalogue;
mod checks;
mod clock;
mod cluster;
pub mod config;
mod domains;
mod edge;
mod export;
mod fleets;
mod game_logs;
pub mod host;
mod id_tokens;
mod in_place;
pub mod journals;
pub mod match_command;
mod match_streams;
mod meters;
mod moderation;
mod open_files;
mod ops;
mod orphans;
mod records;
mod registry;
mod rules;
mod scene_thread;
mod service_loop;
mod sole;
pub mod store;
mod strict;
mod units;
mod wire;

/// Most of what a request costs besides the system is many small pieces of memory, and this gives them for less.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
