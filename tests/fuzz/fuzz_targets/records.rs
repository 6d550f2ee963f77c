//! See [`scenehost_fuzz::records`].

#![cfg_attr(fuzzing, no_main)]

scenehost_fuzz::target!(scenehost_fuzz::records::run);
