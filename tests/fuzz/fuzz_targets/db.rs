//! See [`scenehost_fuzz::db`].

#![cfg_attr(fuzzing, no_main)]

scenehost_fuzz::target!(scenehost_fuzz::db::run);
