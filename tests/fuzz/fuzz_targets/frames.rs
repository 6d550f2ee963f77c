//! See [`scenehost_fuzz::frames`].

#![cfg_attr(fuzzing, no_main)]

scenehost_fuzz::target!(scenehost_fuzz::frames::run);
