//! See [`scenehost_fuzz::lobby`].

#![cfg_attr(fuzzing, no_main)]

scenehost_fuzz::target!(scenehost_fuzz::lobby::run);
