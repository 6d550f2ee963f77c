//! A whole scene that also imports `hostile:outside/clock`, which no host gives: its upload must be
//! refused with that name. It uses the bare contract, since the SDK's world cannot ask for more.

#[cfg(target_arch = "wasm32")]
mod guest {
    wit_bindgen::generate!({
        path: "../../wit/scene.wit",
        inline: "
            package hostile:outside;

            interface clock {
                now: func() -> u64;
            }

            world asks-for-more {
                include scenehost:scene/scene@0.3.0;
                import clock;
            }
        ",
        generate_all,
    });

    use exports::scenehost::scene::logic::{Command, Event, Guest, Init, Moment, Player};

    struct Scene;

    impl Guest for Scene {
        fn start(_: Init) -> Result<(), String> {
            Ok(())
        }

        fn admit(_: Player) -> Result<(), String> {
            Ok(())
        }

        fn step(_: Moment, _: Vec<Event>) -> Result<Vec<Command>, String> {
            let label = hostile::outside::clock::now().to_string();
            Ok(vec![Command::Label(label)])
        }

        fn save() -> Result<Vec<u8>, String> {
            Ok(Vec::new())
        }

        fn load(_: Init, _: Vec<u8>) -> Result<(), String> {
            Ok(())
        }
    }

    export!(Scene);
}
