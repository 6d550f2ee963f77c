//! The rules of `host/core`, described through its public interface. One module a service; `table`
//! shows every state and event.

mod address;
mod auth;
mod chat;
mod club;
mod consistency;
mod db;
mod desk;
mod economy;
mod ending;
mod forgotten;
mod friends;
mod guild;
mod inbox;
mod line;
mod lobby;
mod matching;
mod party;
mod party_search;
mod presence;
mod ranking;
mod rate;
mod rating;
mod restart;
mod results;
mod scene;
mod scene_master;
mod scene_service;
mod season;
mod standing;
mod store_down;
mod table;
mod texts;
mod world;
