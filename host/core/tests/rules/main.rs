//! The rules of `host/core`, described through its public interface. One module a service; `table`
//! shows every state and event.

mod address;
mod auth;
mod db;
mod desk;
mod friends;
mod inbox;
mod line;
mod lobby;
mod matching;
mod presence;
mod rate;
mod scene;
mod scene_master;
mod scene_service;
mod table;
mod texts;
mod world;
