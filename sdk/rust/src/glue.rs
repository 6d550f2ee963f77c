//! `export_scene!`, which makes a component of a scene. Natively it only checks the type, so that
//! tests link without a host.

/// What `export_scene!` expands to needs these; not for games.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::heap::SceneAllocator;
    pub use crate::rule::runtime as rule;
    pub use crate::runtime::Runtime;

    /// Makes a panic a line in the scene's log; the trap that follows it says only where it was.
    #[cfg(target_arch = "wasm32")]
    pub fn log_panics() {
        std::panic::set_hook(Box::new(|panic| crate::log::error(&panic.to_string())));
    }

    pub const NOT_BEGUN: &str = "the scene has not begun: `start` or `load` comes first";
}

/// Makes the crate a scene component of this type: `export_scene!(MyGame);`, once, with
/// `crate-type = ["cdylib", "rlib"]` in the crate's manifest.
#[macro_export]
macro_rules! export_scene {
    ($scene:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use ::std::cell::RefCell;
            use ::std::string::String;
            use ::std::vec::Vec;
            use $crate::__private::{NOT_BEGUN, Runtime, SceneAllocator, log_panics};
            use $crate::bindings::exports::scenehost::scene::logic;

            #[global_allocator]
            static HEAP: SceneAllocator = SceneAllocator::new();

            ::std::thread_local! {
                static RUNTIME: RefCell<Option<Runtime<$scene>>> = const { RefCell::new(None) };
            }

            struct Component;

            impl logic::Guest for Component {
                fn start(init: logic::Init) -> Result<(), String> {
                    log_panics();
                    RUNTIME.with_borrow_mut(|runtime| match runtime {
                        Some(runtime) => runtime.restart(init),
                        None => {
                            *runtime = Some(Runtime::start(init)?);
                            Ok(())
                        }
                    })
                }

                fn admit(player: logic::Player) -> Result<(), String> {
                    RUNTIME.with_borrow(|runtime| match runtime {
                        Some(runtime) => runtime.admit(&player),
                        None => Err(NOT_BEGUN.into()),
                    })
                }

                fn step(at: logic::Moment, events: Vec<logic::Event>) -> Result<Vec<logic::Command>, String> {
                    RUNTIME.with_borrow_mut(|runtime| match runtime {
                        Some(runtime) => runtime.step(at, events),
                        None => Err(NOT_BEGUN.into()),
                    })
                }

                fn save() -> Result<Vec<u8>, String> {
                    RUNTIME.with_borrow(|runtime| match runtime {
                        Some(runtime) => runtime.save(),
                        None => Err(NOT_BEGUN.into()),
                    })
                }

                fn load(init: logic::Init, snapshot: Vec<u8>) -> Result<(), String> {
                    log_panics();
                    let runtime = Runtime::load(init, &snapshot)?;
                    RUNTIME.set(Some(runtime));
                    Ok(())
                }
            }

    $crate::bindings::export!(Component with_types_in $crate::bindings);
        };

        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn is_a_scene<S: $crate::Scene>() {}
            is_a_scene::<$scene>();
        };
    };
}
